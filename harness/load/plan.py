"""Everything the load process must know, as one JSON file. The API key is not in it: it goes through the environment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin, urlsplit

from harness.load.arrivals import Arrival, schedule
from harness.scenario.hosts import is_loopback
from harness.scenario.shape import Piece, Replay, Shape, lay_out

if TYPE_CHECKING:
    from harness.scenario.model import Journey, LoadSpec

API_KEY_VARIABLE = "GAUNTLET_API_KEY"
ENGINE_MODULES = {"locust": "harness.load.users", "asyncio": "harness.load.asyncio_load"}  # of a load, or of a worker of one
BUILT_IN = ("ask", "ask_stream", "follow_up", "search", "ingest", "login")
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.1 and 5.5
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
ASKING = ("ask", "ask_stream", "follow_up", "search")


class PlanError(ValueError):
    """The plan cannot be carried out: an unknown journey, no questions, a target that is not allowed."""


@dataclass(frozen=True, slots=True)
class HttpJourney:
    """A plain HTTP journey of the scenario. `url` is absolute, `body` is sent as JSON unless it is None."""

    name: str
    method: str
    url: str
    body: Any
    headers: Mapping[str, str]
    expect_status: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClosedPlan:
    """Users of a closed load; `think_s` is the mean of the times between an answer and the next request."""

    users: int
    think_s: float
    mix: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What to send where, when, and where to write it down. Paths are absolute."""

    run_id: str
    base_url: str
    duration_s: float
    pieces: tuple[Piece, ...]  # of an open load
    closed: ClosedPlan | None
    locustfile: str | None
    seed: int
    journeys: tuple[HttpJourney, ...]
    questions_file: str | None
    corpus_file: str | None
    requests_dir: str
    gaps_dir: str | None
    events_file: str
    metrics_port: int  # 0: any free one
    timeout_s: float
    max_in_flight: int
    preferred_model: str | None  # the model that names the preferred path in answers
    engine: str  # locust or asyncio
    workers: int
    candidate_url: str | None = None  # the entry of a second version, which is asked in turn
    block_s: float = 0.0  # of that turn; 0: drawn for each arrival
    remote_workers: int = 0  # of the workers: those that are started elsewhere, and connect to `listen`
    listen: str | None = None  # host:port
    allowed_hosts: tuple[str, ...] = ()  # beside this machine
    trusted: str = ""  # certificates of authorities (PEM) that are trusted beside those that this machine trusts
    worker: int | None = None  # which of the workers this plan is for: every `workers`-th arrival or user is its own

    @property
    def shape(self) -> Shape:
        return Shape(self.pieces)

    def of_candidate(self) -> LoadPlan:
        """What the second version is asked: journeys to the base's entry go to its own."""
        if self.candidate_url is None:
            return self
        base, other = self.base_url + "/", self.candidate_url + "/"
        moved = tuple(replace(j, url=other + j.url.removeprefix(base)) if j.url.startswith(base) else j for j in self.journeys)
        return replace(self, base_url=self.candidate_url, journeys=moved)

    @property
    def model(self) -> str:
        """Do arrivals wait for answers?"""
        return "open" if self.pieces else "closed"

    @property
    def share(self) -> tuple[int, int]:
        """(n, m): this plan is for every m-th arrival or user, from the n-th on."""
        return (0, 1) if self.worker is None else (self.worker, self.workers)

    @property
    def used(self) -> frozenset[str]:
        """Journeys of all mixes."""
        closed = self.closed.mix if self.closed is not None and self.locustfile is None else ()
        return frozenset(closed).union(*(journeys_in(piece) for piece in self.pieces))

    @property
    def journey_names(self) -> tuple[str, ...]:
        """Journeys of all mixes; their place here is the number that the record keeps."""
        used = self.used
        own = tuple(j.name for j in self.journeys)
        return tuple(n for n in dict.fromkeys((*BUILT_IN, *own)) if n in used)

    @property
    def asking(self) -> frozenset[str]:
        """Journeys that ask a question of the questions file."""
        return frozenset(ASKING) - {j.name for j in self.journeys}

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`. Raises ValueError, KeyError or TypeError for anything else."""
        document = json.loads(text)
        pieces = tuple(Piece(**{**p, "replay": Replay(**p["replay"]) if p["replay"] else None}) for p in document.pop("pieces"))
        journeys = (HttpJourney(**{**j, "expect_status": tuple(j["expect_status"])}) for j in document.pop("journeys"))
        closed = document.pop("closed")
        document["allowed_hosts"] = tuple(document["allowed_hosts"])
        return cls(**document, pieces=pieces, journeys=tuple(journeys), closed=ClosedPlan(**closed) if closed else None)


@dataclass(frozen=True, slots=True)
class LoadFiles:
    """Where the load reads from and writes to."""

    requests_dir: Path
    events_file: Path
    questions_file: Path | None = None
    corpus_file: Path | None = None
    gaps_dir: Path | None = None  # None: gaps between tokens are not kept


def build(
    load: LoadSpec,
    files: LoadFiles,
    *,
    run_id: str,
    duration_s: float,
    seed: int,
    base_url: str,
    service_urls: Mapping[str, str],
    preferred_model: str | None = None,
    metrics_port: int = 0,
    allowed_hosts: frozenset[str] = frozenset(),
    candidate_url: str | None = None,
    block_s: float = 0.0,
    trusted: str = "",
) -> LoadPlan:
    """The plan of a scenario's load. `base_url` is the entry of the stack, `service_urls` are the bases of the scenario's own journeys.

    Raises PlanError (or ShapeError), also for a host that is neither loopback nor in `allowed_hosts`.
    """
    plan = LoadPlan(
        run_id=run_id,
        base_url=base_url.rstrip("/"),
        duration_s=duration_s,
        pieces=lay_out(load.shape, duration_s, load.mix).pieces if load.shape else (),
        closed=ClosedPlan(load.closed.users, load.closed.think_time, dict(load.mix)) if load.closed else None,
        locustfile=str(Path(load.locustfile).resolve()) if load.locustfile else None,
        seed=seed,
        journeys=tuple(_journey(name, j, {"gateway": base_url, **service_urls}) for name, j in load.journeys.items()),
        questions_file=str(files.questions_file.resolve()) if files.questions_file else None,
        corpus_file=str(files.corpus_file.resolve()) if files.corpus_file else None,
        requests_dir=str(files.requests_dir.resolve()),
        gaps_dir=str(files.gaps_dir.resolve()) if files.gaps_dir else None,
        events_file=str(files.events_file.resolve()),
        metrics_port=metrics_port,
        timeout_s=load.timeout,
        max_in_flight=load.max_in_flight,
        preferred_model=preferred_model,
        candidate_url=candidate_url.rstrip("/") if candidate_url else None,
        block_s=block_s,
        engine=load.engine,
        workers=load.workers,
        remote_workers=load.remote_workers,
        listen=load.listen,
        allowed_hosts=tuple(sorted(allowed_hosts)),
        trusted=trusted,
    )
    _check(plan, allowed_hosts)
    return plan


def planned(plan: LoadPlan, questions: int) -> Iterator[Arrival]:
    """The arrivals of an open load; of a worker, those that are its own."""
    arrivals = schedule(plan.shape, plan.seed, questions, plan.asking)
    return arrivals if plan.worker is None else (a for a in arrivals if a.seq % plan.workers == plan.worker)


def journeys_in(piece: Piece) -> tuple[str, ...]:
    """The journeys that a piece offers: those of its mix, or those that a replayed run had. Raises TraceError."""
    if piece.replay is None or piece.replay.mixed:
        return tuple(piece.mix)
    return piece.replay.trace.journeys or tuple(piece.mix)


def _journey(name: str, journey: Journey, bases: Mapping[str, str]) -> HttpJourney:
    if journey.service not in bases:
        raise PlanError(f"journey {name!r} asks for service {journey.service!r}, which has no URL; there are: {', '.join(sorted(bases))}")
    method, path = ("GET", journey.get) if journey.get is not None else ("POST", journey.post)
    assert path is not None  # the model admits exactly one of the two
    url = urljoin(bases[journey.service].rstrip("/") + "/", path.lstrip("/"))
    return HttpJourney(name, method, url, journey.body, dict(journey.headers), tuple(journey.expect_status))


def _check(plan: LoadPlan, allowed_hosts: frozenset[str]) -> None:
    used = plan.used
    if unknown := used - set(plan.journey_names):
        raise PlanError(f"the mix names unknown journeys: {', '.join(sorted(unknown))}; there are: {', '.join(BUILT_IN)} and `journeys`")
    if (asked := used & plan.asking) and plan.questions_file is None:
        raise PlanError(f"{', '.join(sorted(asked))} need questions, and this stack has none; write `journeys` of your own")
    for journey in plan.journeys:
        for name, value in journey.headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise PlanError(f"journey {journey.name!r}: {name!r}: {value!r} is no HTTP header")
    for url in (plan.base_url, *((plan.candidate_url,) if plan.candidate_url else ()), *(j.url for j in plan.journeys)):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PlanError(f"{url!r} is no http(s) URL")
        if not is_loopback(parts.hostname) and parts.hostname not in allowed_hosts:
            raise PlanError(f"{url}: load goes to loopback addresses only, unless the scenario allows the host")
