"""What stops a deploy, as pure functions of what was recorded: the same answer live and from disk.

FAIL where the new version, or the switch itself, is shown to be bad; INCONCLUSIVE where evidence is missing: never PASS without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np

from harness.deploy.plan import Memory, Proof, Smoke
from harness.record.history import History
from harness.record.requests import Outcome
from harness.scenario.comparison import Metric
from harness.scenario.slis import SliName, sli_name
from harness.scenario.units import Limit
from harness.score import compare, stats
from harness.score import sli as slis
from harness.score.blockwise import MOST_BESIDE
from harness.score.check import Result, Status
from harness.score.context import Context
from harness.score.sli import DROPPED_BY_GENERATOR, Observations
from harness.score.slo import judge_absolute
from harness.score.spans import NS_PER_S, Span, seconds
from harness.score.student import critical

GROUP = "deploy"
ROUTES: Mapping[str, str] = {"ask": "/api/ask", "ask_stream": "/api/ask", "search": "/api/search"}
_SERVER_ERROR = 500
_SAMPLES_LEAST = 12  # of memory, after the warm-up
_WARM_UP = 0.4  # share of the samples: caches fill, and the allocator takes its first arenas
_BLOCKS = 8
_LISTED = 5
_ROUNDING = 1e-3  # of a request: due times are whole nanoseconds
_EXPECTED_LEAST = 5.0  # where fewer answers are expected, that there is none proves nothing
_BOTH = ("blue", "green")
_APART_S = 5.0  # of a fault of both versions: more, and they were not compared under the same
_IMPROBABLE = 0.001  # a weight is doubted where chance explains the share that was seen so rarely


@dataclass(frozen=True, slots=True)
class Answer:
    """One request that passed the router, with what its answer said about who gave it."""

    start_ns: int
    end_ns: int
    route: str
    side: str | None
    status: int
    version: str | None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Answer:
        """A line of `answers.jsonl`. Raises KeyError for another one."""
        return cls(
            int(document["start_ns"]),
            int(document["end_ns"]),
            document["route"],
            document["side"],
            int(document["status"]),
            document["version"],
        )


def smoke(asked: Sequence[Mapping[str, Any]], wanted: Smoke, version: str) -> Result:
    """Questions with known answers, put to the new version alone: `[{question, right, status, version, said}]`."""
    blank = Result("deploy.smoke", GROUP, Status.INCONCLUSIVE, "", limit=f">= {wanted.right:.0%}", unit="ratio", samples=len(asked))
    if len(asked) < wanted.questions:
        return replace(blank, reason=f"{len(asked)} of {wanted.questions} questions were asked")
    others = sorted({str(one["version"]) for one in asked if one["status"] == 200 and one["version"] != version})
    if others:
        return replace(blank, status=Status.FAIL, reason=f"asked alone, the new version {version} was answered for by {', '.join(others)}")
    right = sum(bool(one["right"]) for one in asked)
    wrong = [f"asked {one['question']!r}: {one['said']}" for one in asked if not one["right"]]
    share = right / len(asked)
    result = replace(blank, value=stats.rounded(share), evidence=tuple(wrong[:_LISTED]))
    if share < wanted.right:
        return replace(
            result, status=Status.FAIL, reason=f"wrong answers: {right} of {len(asked)} questions with known answers were answered rightly"
        )
    return replace(result, status=Status.PASS, reason=f"{right} of {len(asked)} questions with known answers were answered rightly")


def served(
    name: str, answers: Sequence[Answer], routes: Sequence[str], version: str, after_ns: int, proof: Proof, *, missing: bool = False
) -> Result:
    """Whether that version, and no other, gives the answers to what arrived after `after_ns`: so many in a row, on every route."""
    blank = Result(name, GROUP, Status.INCONCLUSIVE, "", limit=f"{proof.answers} in a row are {version}", unit="number")
    if missing:
        return replace(blank, reason="the record of who answered has a gap")
    later = sorted((a for a in answers if a.start_ns > after_ns), key=lambda a: a.start_ns)
    told = [a for a in later if a.version is not None]
    others = [a for a in told if a.version != version]
    if others:
        who = ", ".join(sorted({str(a.version) for a in others}))
        reason = f"{len(others)} of {len(told)} answers to later requests come from {who}, not from {version}"
        return replace(blank, status=Status.FAIL, value=len(told) - len(others), samples=len(told), reason=reason)
    runs = {route: _in_a_row([a for a in later if a.route == route], version) for route in routes}
    least = min(runs.values(), default=0)
    shown = ", ".join(f"{route}: {n}" for route, n in sorted(runs.items()))
    result = replace(blank, value=least, samples=len(told), evidence=(shown,))
    if not routes or least < proof.answers:
        return replace(
            result, reason=f"too few answers say who gave them ({shown or 'no route is used'}); {proof.answers} in a row are needed"
        )
    return replace(result, status=Status.PASS, reason=f"{version} gives the answers on every route ({shown})")


def _in_a_row(answers: Sequence[Answer], version: str) -> int:
    longest = now = 0
    for answer in answers:
        now = now + 1 if answer.version == version else 0
        longest = max(longest, now)
    return longest


def weight(name: str, answers: Sequence[Answer], version: str, share: float, span: Span, *, missing: bool = False) -> Result:
    """Whether the new version was given its share of the traffic: an exact binomial test, two-sided."""
    here = [a for a in answers if span.holds(a.start_ns) and a.version is not None]
    blank = Result(name, GROUP, Status.INCONCLUSIVE, "", limit=f"{share:.0%} of the answers are {version}", unit="ratio", samples=len(here))
    if missing:
        return replace(blank, reason="the record of who answered has a gap")
    if not here:
        return replace(blank, reason="no answer says who gave it")
    new = sum(a.version == version for a in here)
    low, high = stats.share_interval(new, len(here))
    result = replace(blank, value=stats.rounded(new / len(here)), interval=(stats.rounded(low), stats.rounded(high)))
    told = f"{new} of {len(here)} answers are {version} (95% interval {low:.1%} to {high:.1%})"
    chance = min(stats.at_least(new, len(here), share), stats.at_least(len(here) - new, len(here), 1.0 - share))
    if chance < _IMPROBABLE / 2:
        return replace(result, status=Status.FAIL, reason=f"{told}, which a weight of {share:.0%} does not explain")
    if not new and share * len(here) < _EXPECTED_LEAST:
        return replace(result, reason=f"{told}: too few to tell whether it is asked at all")
    return replace(result, status=Status.PASS, reason=told)


@dataclass(frozen=True, slots=True)
class Asked:
    """A version, and the side that it stands on: what broke off before anybody said who answers counts against that side."""

    version: str
    side: str

    def gave(self, answer: Answer) -> bool:
        return answer.version == self.version or (answer.version is None and answer.side == self.side)


def compared(name: str, answers: Sequence[Answer], span: Span, metrics: Mapping[str, Metric], old: Asked, new: Asked) -> list[Result]:
    """The new version against the old one by what passed the router in the same seconds: the rule of `gauntlet compare`."""
    blocks = compare.cut(span, MOST_BESIDE)
    measured = []
    for text, metric in metrics.items():
        sli = sli_name(text)
        base, candidate = (_observe([a for a in answers if span.holds(a.start_ns) and one.gave(a)], sli) for one in (old, new))
        measured.append(compare.Measured(f"{name}.{text}", sli, metric, base, candidate, (blocks, blocks), "interleaved"))
    return [replace(c.result, group=GROUP) for c in compare.judge(measured)]


def _observe(answers: Sequence[Answer], sli: SliName) -> Observations:
    if sli.percentile:
        answers = [a for a in answers if 0 < a.status < _SERVER_ERROR]
        values = np.array([a.end_ns - a.start_ns for a in answers], dtype=np.int64)
    else:
        values = np.array([float(0 < a.status < _SERVER_ERROR) for a in answers], dtype=np.float64)
    return Observations(np.array([a.start_ns for a in answers], dtype=np.int64), values)


def objectives(name: str, users: History, limits: Mapping[str, Limit], span: Span) -> list[Result]:
    """What users must see, of the requests that were due within the span."""
    rows = users.between(span.start_ns, span.end_ns)
    found = []
    for text, limit in limits.items():
        sli = sli_name(text)
        blank = Result(f"{name}.{text}", GROUP, Status.INCONCLUSIVE, "", limit=limit.text, unit=sli.unit)
        found.append(judge_absolute(blank, slis.observe(rows, sli, Context.of(users)), sli, limit))
    return found


def untold(users: History, end_ns: int, rate: float) -> int | None:
    """Requests that were due before then and have no row: they are under way, or their end was never written down.

    Arrivals are evenly spaced, at `rate` a second, so that any row tells when each was due. None without a row.
    """
    rows = users.requests.rows()
    if not len(rows):
        return None
    start_ns = float((rows["intended_ns"] - (rows["seq"] + 0.5) * (NS_PER_S / rate)).min())
    due = ceil((end_ns - start_ns) * rate / NS_PER_S - 0.5 - _ROUNDING)
    return max(0, due - len(np.unique(rows["seq"][rows["intended_ns"] < end_ns])))


def lost(users: History, span: Span, rate: float) -> Result:
    """Requests that were due while versions changed and were not answered in full: counted, all of them, and not sampled."""
    blank = Result("deploy.lost_requests", GROUP, Status.INCONCLUSIVE, "", limit="== 0", unit="number")
    rows = users.between(span.start_ns, span.end_ns).rows()
    if users.damage:
        return replace(blank, reason=f"the record of the load is damaged: {users.damage[0]}")
    if not len(rows):
        return replace(blank, samples=0, reason="no request was due: who lost nothing had nothing to lose")
    own = int(((rows["outcome"] == Outcome.DROPPED) & (rows["drop_cause"] == DROPPED_BY_GENERATOR)).sum())
    gaps = untold(users, span.end_ns, rate) or 0
    bad = rows[(rows["outcome"] != Outcome.OK) & ((rows["outcome"] != Outcome.DROPPED) | (rows["drop_cause"] != DROPPED_BY_GENERATOR))]
    count = len(bad) + gaps
    told = [
        f"due at {seconds(span.start_ns, int(row['intended_ns'])):g}s: {Outcome(int(row['outcome'])).name.lower()}, status {row['status']}"
        for row in bad[np.argsort(bad["intended_ns"])][:_LISTED]
    ]
    result = replace(blank, value=count, samples=len(rows), evidence=(*told, *((f"{gaps} are not in the record",) if gaps else ())))
    if count:
        return replace(
            result, status=Status.FAIL, reason=f"{count} of {len(rows)} requests were lost; the first {told[0] if told else 'left no row'}"
        )
    if own:
        return replace(result, reason=f"the load generator itself failed to send {own} requests")
    reason = f"0 of {len(rows)} requests were lost, which bounds the share by {stats.bound_of_none(len(rows)):.2g} at 95%"
    return replace(result, status=Status.PASS, reason=reason)


def broken_alike(told: Mapping[str, Sequence[Mapping[str, Any]]], faults: Sequence[str]) -> Result:
    """Whether both versions had the same faults at the same time: `told` are steps `{t_ns, id, step}` by side.

    FAIL where one is not proved gone; INCONCLUSIVE where one did not bite on both sides, or on one of them much later.
    """
    blank = Result("deploy.verify.faults", GROUP, Status.INCONCLUSIVE, "", samples=len(faults))
    if len(told) < len(_BOTH):
        return replace(blank, reason="the faults of both versions are not recorded")
    doubts = []
    for fault in faults:
        steps = {side: {str(e["step"]): int(e["t_ns"]) for e in events if e.get("id") == fault} for side, events in told.items()}
        if broken := [side for side, found in steps.items() if "injected" in found and "gone" not in found]:
            return replace(blank, status=Status.FAIL, reason=f"{fault} is not proved gone from {', '.join(broken)}")
        if spared := [side for side, found in steps.items() if "effective" not in found]:
            doubts.append(f"{fault} did not bite {', '.join(spared)}")
        elif (apart_s := _apart_s([found["effective"] for found in steps.values()])) > _APART_S:
            doubts.append(f"{fault} bit one of them {apart_s:.1f}s after the other")
    if doubts:
        return replace(blank, reason="; ".join(doubts))
    return replace(blank, status=Status.PASS, reason=f"both versions had {', '.join(faults)}, and have them no more")


def _apart_s(times_ns: Sequence[int]) -> float:
    return (max(times_ns) - min(times_ns)) / NS_PER_S


def memory(samples: Sequence[Mapping[str, Any]], wanted: Memory) -> list[Result]:
    """Service by service, what a request leaves resident: `[{service, requests, rss_bytes}]` in the order in which they were taken.

    Of the later samples (caches fill first) the growth from block to block, divided by the requests between them, with Student's interval.
    """
    found = []
    for service in sorted({str(s["service"]) for s in samples}):
        own = [s for s in samples if s["service"] == service]
        found.append(_leak(service, own[int(len(own) * _WARM_UP) :], wanted.per_request_kib))
    return found or [Result("deploy.memory", GROUP, Status.INCONCLUSIVE, "no memory was measured")]


def _leak(service: str, samples: Sequence[Mapping[str, Any]], allowed_kib: float) -> Result:
    blank = Result(f"deploy.memory.{service}", GROUP, Status.INCONCLUSIVE, "", limit=f"<= {allowed_kib:g} KiB a request", unit="KiB")
    if len(samples) < _SAMPLES_LEAST:
        return replace(blank, samples=len(samples), reason=f"{len(samples)} samples of its memory; {_SAMPLES_LEAST} are needed")
    requests = np.array([float(s["requests"]) for s in samples])
    kib = np.array([float(s["rss_bytes"]) / 1024.0 for s in samples])
    edges = np.linspace(0, len(samples), _BLOCKS + 1).astype(int)
    at = [(requests[a:b].mean(), kib[a:b].mean()) for a, b in pairwise(edges)]
    served_there = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(at)]
    if any(n <= 0 for n, _ in served_there):
        return replace(blank, samples=len(samples), reason="it was not asked all the time, so that nothing can be told by request")
    slopes = np.array([grown / n for n, grown in served_there])
    middle = float(slopes.mean())
    half = critical(0.025, len(slopes) - 1) * float(slopes.std(ddof=1)) / len(slopes) ** 0.5
    low, high = middle - half, middle + half
    result = replace(
        blank, value=stats.rounded(middle), interval=(stats.rounded(low), stats.rounded(high)), samples=int(requests[-1] - requests[0])
    )
    told = f"{service} keeps {middle:.1f} KiB of every request (95% interval {low:.1f} to {high:.1f})"
    if low > allowed_kib:
        return replace(result, status=Status.FAIL, reason=f"leaking memory: {told}")
    if high < allowed_kib:
        return replace(result, status=Status.PASS, reason=told)
    return replace(result, reason=f"{told}: too few requests to tell; measure longer")
