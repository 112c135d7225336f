"""Several load processes that are one load: the master hands out plans and instants, and keeps every worker's raw requests.

A worker of this host has this host's clock; of any other the offset of its clock is measured, as NTP does: half of the shortest round
trip is what is not known about it. Two clocks drift apart by some 0.1 s an hour, so it is measured again and again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.load.dispatch import Counts
from harness.load.foreign import numbered
from harness.load.health import LagHistogram
from harness.load.ledger import opening
from harness.load.messages import BEGIN, BYE, CLOCK, END, EVENT, GAPS, HELLO, JOURNEYS, PLAN, READY, ROWS, STOP, clock_id, handed_over
from harness.load.metrics import ClientMetrics
from harness.load.plan import LoadPlan
from harness.load.recorder import GapFile, Segments
from harness.load.versions import Keys
from harness.record.clock import NS_PER_S, Clock
from harness.record.events import LOAD, Event
from harness.record.gaps import GAP
from harness.record.requests import REQUEST_DTYPE

_PINGS = 20
_ALIGN_NS = 10 * NS_PER_S  # from one measurement of a clock to the next
_TIMES = ("intended_ns", "start_ns", "first_ns", "last_ns", "end_ns")
_SUMS = (
    "arrivals",
    "sent",
    "dropped_by_target",
    "dropped_by_generator",
    "cancelled",
    "ingest_accepted",
    "ingest_indexed",
    "ingest_unanswered",
)


class Bus(Protocol):
    """What carries the talk, on the master's side. Workers find it at `address` (host:port)."""

    address: str

    def listen(self, heard: Callable[[str, dict[str, Any], str], None]) -> None:
        """Hand over what workers say: kind, data, worker."""
        ...

    def send(self, kind: str, data: dict[str, Any], worker: str) -> None: ...

    def missing(self, worker: str) -> bool:
        """Has nothing been heard of it for some seconds?"""
        ...


@dataclass(slots=True)
class Member:
    """One worker. `offset_ns` is added to its clock to have ours."""

    number: int
    name: str  # as the bus knows it
    host: str
    pid: int
    writer: Segments
    gaps: GapFile | None
    journeys: NDArray[np.uint8] | None = None  # the record's number of each journey of its own; None: they are the plan's
    offset_ns: int = 0
    uncertainty_ns: int = 0
    aligned_ns: int = 0  # when its clock was last asked; 0: it is ours
    trips: list[tuple[int, int]] = field(default_factory=list)  # half of the round trip, and the offset that it shows
    ready: bool = False
    heard_ns: int = 0
    rows: int = 0
    health: dict[str, Any] = field(default_factory=dict)
    finished: dict[str, Any] | None = None
    lost: bool = False

    @property
    def over(self) -> bool:
        return self.lost or self.finished is not None


class Crew:
    """The master's account of its workers. The engine feeds `heard`, and calls `look` several times a second."""

    def __init__(
        self,
        plan: LoadPlan,
        clock: Clock,
        record: Callable[[Event], Event],
        metrics: ClientMetrics,
        bus: Bus,
        token: str,
        keys: Keys,
    ) -> None:
        """`token` is what workers must show; they are then given the keys."""
        self._plan = plan
        self._clock = clock
        self._record = record
        self._metrics = metrics
        self._bus = bus
        self._token, self._keys = token, keys
        self._lag = LagHistogram()
        self._counts = Counts()
        self._ending = self._stopping = False
        self._journeys: dict[str, int] = {name: number for number, name in enumerate(plan.journey_names)}
        self.members: dict[str, Member] = {}
        metrics.follow(self._counts, lambda: None)
        self._listeners: dict[str, Callable[[Member, dict[str, Any]], None]] = {
            CLOCK: self._tick,
            READY: self._is_ready,
            JOURNEYS: self._names,
            ROWS: self._rows,
            GAPS: self._gaps,
            EVENT: self._event,
        }

    @property
    def ready(self) -> bool:
        """Are all there, with their clocks known and their connections open?"""
        return len(self.members) == self._plan.workers and all(member.ready for member in self.members.values())

    @property
    def over(self) -> bool:
        """Has every worker finished, or been lost?"""
        return all(member.over for member in self.members.values())

    def heard(self, kind: str, data: dict[str, Any], worker: str) -> None:
        """A message of a worker. What comes of one that has not shown the token is not listened to."""
        if kind == HELLO:
            self._welcome(data, worker)
        elif (member := self.members.get(worker)) is not None:
            member.heard_ns = self._clock.now_ns()
            self._listeners[kind](member, data)

    def begin(self, t0_ns: int) -> None:
        """The same instant for all, each on its own clock."""
        self._write("started", t0_ns=t0_ns, **opening(self._plan), workers=self._plan.workers)
        for member in self.members.values():
            self._bus.send(BEGIN, {"t0_ns": t0_ns - member.offset_ns}, member.name)

    def end(self, *, early: bool) -> None:
        """Users of a locustfile are to end (journeys know their own end); with `early`, whatever is under way gets a moment. Idempotent."""
        if early and not self._stopping:
            self._stopping = True
            self._tell_all(STOP)
        elif not self._ending and not early:
            self._ending = True
            self._tell_all(END)

    def _tell_all(self, kind: str) -> None:
        for member in self.members.values():
            self._bus.send(kind, {}, member.name)

    def look(self, ended: Callable[[Member], bool]) -> None:
        """Note who was lost, and look at far clocks again. `ended` says whether a worker's process is known to have ended."""
        for member in self.members.values():
            if not member.over and (ended(member) or self._bus.missing(member.name)):
                self._lose(member)
            if not member.over and member.ready and member.aligned_ns and self._clock.now_ns() - member.aligned_ns > _ALIGN_NS:
                self._align(member)

    def finished(self) -> None:
        """The last event: what all workers tell, and of a lost one the rows that had arrived."""
        for member in self.members.values():
            if not member.over:
                self._lose(member)
        told = [member.finished for member in self.members.values() if member.finished is not None]
        lost = [member for member in self.members.values() if member.finished is None]
        sums = {name: sum(int(one.get(name, 0)) for one in told) for name in _SUMS}
        sums["arrivals"] += sum(member.rows for member in lost)
        self._write(
            "finished",
            early=self._stopping,
            **sums,
            ingest_missing=[doc_id for one in told for doc_id in one.get("ingest_missing", [])],
            dispatch_lag_ms_p50=round(self._lag.quantile_ms(0.5), 3),
            dispatch_lag_ms_p99=round(self._lag.quantile_ms(0.99), 3),
            dispatch_lag_ms_max=round(self._lag.max_ms, 3),
            cpu_ratio_max=max((one["cpu_ratio_max"] for one in told), default=0.0),
            workers_lost=len(lost),
        )

    def _lose(self, member: Member) -> None:
        member.lost = True
        self._write("worker_lost", worker=member.number, host=member.host, recorded=member.rows, heard_ns=member.heard_ns)

    def close(self) -> None:
        for member in self.members.values():
            member.writer.close()
            if member.gaps is not None:
                member.gaps.close()

    def _welcome(self, data: dict[str, Any], worker: str) -> None:
        if data.get("token") != self._token or worker in self.members or len(self.members) == self._plan.workers:
            return
        number = len(self.members)
        member = self.members[worker] = Member(number, worker, str(data["host"]), int(data["pid"]), *self._files(number))
        member.heard_ns = self._clock.now_ns()
        if data["clock"] == clock_id():
            self._tell_clock(member)
            self._hand_over(member)
        else:
            self._align(member)

    def _files(self, number: int) -> tuple[Segments, GapFile | None]:
        name = f"load-{number}.seg"
        rows = Segments(Path(self._plan.requests_dir), name, tuple(self._journeys), worker=number)
        return rows, GapFile(Path(self._plan.gaps_dir), name) if self._plan.gaps_dir is not None else None

    def _align(self, member: Member) -> None:
        member.aligned_ns = self._clock.now_ns()
        member.trips.clear()
        self._ping(member)

    def _ping(self, member: Member) -> None:
        self._bus.send(CLOCK, {"sent_ns": self._clock.now_ns()}, member.name)

    def _tick(self, member: Member, data: dict[str, Any]) -> None:
        now_ns, sent_ns = self._clock.now_ns(), int(data["sent_ns"])
        member.trips.append(((now_ns - sent_ns) // 2, (sent_ns + now_ns) // 2 - int(data["its_ns"])))
        if len(member.trips) < _PINGS:
            self._ping(member)
            return
        uncertainty_ns, offset_ns = min(member.trips)
        if not member.ready or abs(offset_ns - member.offset_ns) > uncertainty_ns:  # else what was known still holds
            member.offset_ns, member.uncertainty_ns = offset_ns, uncertainty_ns
            self._tell_clock(member)
        if not member.ready:
            self._hand_over(member)

    def _tell_clock(self, member: Member) -> None:
        facts = {"host": member.host, "clock_offset_ns": member.offset_ns, "clock_uncertainty_ns": member.uncertainty_ns}
        self._write("worker", worker=member.number, **facts)

    def _hand_over(self, member: Member) -> None:
        slots = -(-self._plan.max_in_flight // self._plan.workers)
        own = replace(self._plan, worker=member.number, max_in_flight=slots)
        here = not member.aligned_ns and member.host == socket.gethostname()
        self._bus.send(PLAN, handed_over(own, list(self._keys), here), member.name)

    def _is_ready(self, member: Member, _data: dict[str, Any]) -> None:
        member.ready = True

    def _names(self, member: Member, data: dict[str, Any]) -> None:
        """The journeys of a locustfile, as they become known to one worker; the record numbers those of all."""
        if member.lost:
            return
        member.journeys = np.array([numbered(self._journeys, str(name)) for name in data["journeys"]], dtype=np.uint8)
        member.writer.rename(tuple(self._journeys))
        self._metrics.rename(tuple(self._journeys))

    def _rows(self, member: Member, data: dict[str, Any]) -> None:
        if member.lost:
            return  # given up already: its arrivals are counted as they stood
        rows: NDArray[Any] = np.frombuffer(data["rows"], dtype=REQUEST_DTYPE).copy()
        for name in _TIMES:
            rows[name] += np.where(rows[name] != 0, member.offset_ns, 0)
        if member.journeys is not None:
            rows["journey"] = member.journeys[rows["journey"]]
        member.writer.append(rows)
        member.rows += len(rows)
        self._metrics.count(rows)
        sent = rows[rows["start_ns"] > 0]
        self._lag.add(sent["start_ns"] - sent["intended_ns"])

    def _gaps(self, member: Member, data: dict[str, Any]) -> None:
        if member.gaps is not None and not member.lost:
            member.gaps.append(np.frombuffer(data["rows"], dtype=GAP))

    def _event(self, member: Member, data: dict[str, Any]) -> None:
        state = data.pop("state")
        if state == "health":
            member.health = data
            self._counts.arrivals = sum(int(one.health.get("arrivals", 0)) for one in self.members.values())
            self._counts.in_flight = sum(int(one.health.get("in_flight", 0)) for one in self.members.values())
            self._write(state, worker=member.number, **data)
        elif state == "finished":
            member.finished = data
            self._bus.send(BYE, {}, member.name)
        elif state == "failed":
            self._write("worker_failed", worker=member.number, error=data.get("error"))

    def _write(self, state: str, **figures: Any) -> None:
        self._record(Event(self._clock.now_ns(), LOAD, "truth", {"state": state, **figures}))
