"""An immutable reading of one run record: the only input of every scorer, beside the scenario."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from harness.record import views
from harness.record.events import ENDED, FAULT, Event
from harness.record.gaps import Gaps
from harness.record.pieces import Requests
from harness.record.provider import ProviderJournal
from harness.record.requests import REQUEST_DTYPE

Derived = TypeVar("Derived")


@dataclass(frozen=True)
class Question:
    """Truth of one question: document numbers that hold the answer, and whether there is one."""

    id: int
    gold: frozenset[int]
    answerable: bool


@dataclass(frozen=True)
class History:
    """Events (merged by time), requests (in any order) and facts of one run.

    Tests write it by hand; `record.store.read` builds it from disk, and leaves the requests there (`record.pieces`).
    """

    events: tuple[Event, ...] = ()
    requests: Requests = field(default_factory=lambda: Requests.of(np.zeros(0, dtype=REQUEST_DTYPE)))
    journeys: tuple[str, ...] = ("ask", "ask_stream", "ingest")
    run: Mapping[str, Any] = field(default_factory=dict)
    questions: Mapping[int, Question] = field(default_factory=dict)
    documents: int = 0
    damage: tuple[str, ...] = ()  # what could not be read: torn segments, missing files
    gaps: Gaps = field(default_factory=Gaps)  # inter-token latencies
    providers: tuple[ProviderJournal, ...] = ()  # what the mock providers saw of their callers
    baseline: History | None = None  # the run that limits "of baseline" are relative to
    _derived: dict[tuple[Hashable, ...], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.requests, np.ndarray):  # rows written by hand
            object.__setattr__(self, "requests", Requests.of(self.requests))

    @cached_property
    def phases(self) -> tuple[views.PhaseSpan, ...]:
        return views.phases(self.events)

    @cached_property
    def faults(self) -> tuple[views.FaultTruth, ...]:
        return views.faults(self.events)

    @cached_property
    def alerts(self) -> tuple[views.Alert, ...]:
        return views.alerts(self.events)

    @cached_property
    def diagnoses(self) -> tuple[views.Diagnosis, ...]:
        return views.diagnoses(self.events)

    @cached_property
    def actions(self) -> tuple[views.Action, ...]:
        return views.actions(self.events)

    @cached_property
    def escalations(self) -> tuple[views.Escalation, ...]:
        return views.escalations(self.events)

    @property
    def start_ns(self) -> int:
        """The start of the first phase, or of the record."""
        return self.phases[0].start_ns if self.phases else (self.events[0].t_ns if self.events else 0)

    @cached_property
    def end_ns(self) -> int:
        """The last thing that was recorded."""
        return max((e.t_ns for e in self.events), default=0)

    @property
    def complete(self) -> bool:
        """True when the run reached its own end (it may still have been stopped early by an abort)."""
        return any(e.kind == ENDED and e.data.get("complete") for e in self.events)

    def phase(self, name: str) -> views.PhaseSpan | None:
        """The span of that name, if the run reached it."""
        return next((p for p in self.phases if p.name == name), None)

    def fault(self, fault_id: str) -> views.FaultTruth | None:
        """The fault of that id, if it was ever intended."""
        return next((f for f in self.faults if f.id == fault_id), None)

    def of_kind(self, kind: str) -> Iterator[Event]:
        """Events of one kind, in time order."""
        return (e for e in self.events if e.kind == kind)

    def fault_steps(self, fault_id: str) -> Iterator[Event]:
        """Every recorded step of one fault."""
        return (e for e in self.of_kind(FAULT) if e.data.get("id") == fault_id)

    def between(self, start_ns: int, end_ns: int) -> Requests:
        """Requests whose intended start lies in [start_ns, end_ns)."""
        return self.requests.between(start_ns, end_ns)

    def in_phase(self, name: str) -> Requests:
        """Requests of a phase, by intended start; none when the run never reached it."""
        span = self.phase(name)
        if span is None:
            return self.between(0, 0)
        return self.between(span.start_ns, span.end_ns if span.end_ns is not None else self.end_ns + 1)

    def read_through(self, requests: Requests, *, bare: bool = False) -> History:
        """The same run, whose requests are read another way; what was derived stays. `bare`: without all else that grows with a record."""
        found = replace(self, requests=requests)
        if bare:
            found = replace(found, gaps=Gaps(), providers=(), baseline=None)
        found._derived.update(self._derived)
        return found

    def once(self, key: tuple[Hashable, ...], derive: Callable[[], Derived], of: object = None) -> Derived:
        """What `derive` gives, derived once for each key: scorers ask for the same thing, and a pass over ten million rows takes seconds.

        `of` is a further input that has no hash (the scenario); it is told apart by identity.
        """
        place = (*key, id(of))
        if place not in self._derived:
            self._derived[place] = (of, derive())  # held with its input, whose identity nothing else can take on meanwhile
        found: Derived = self._derived[place][1]
        return found
