"""Two versions under one load: who is asked is drawn for each arrival, or changes with time in the order A B B A.

Either way each side is offered the same requests at the same rate, in the same seconds or in seconds that a steady drift treats alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.load.arrivals import Arrival
from harness.load.http import Exchange, Transport
from harness.load.ingest import IngestCheck, IngestChecker, IngestLog
from harness.load.journeys import Steps
from harness.load.observation import Observation
from harness.record.requests import BASE, CANDIDATE

CANDIDATE_KEY_VARIABLE = "GAUNTLET_CANDIDATE_API_KEY"
_ROUND = (BASE, CANDIDATE, CANDIDATE, BASE)


class Performer(Protocol):
    """Performs arrivals: `Journeys` against one version, `Sides` against two."""

    def observe(self, arrival: Arrival, intended_ns: int) -> Observation:
        """The observation of an arrival about which nothing is known yet."""
        ...

    def begin(self, arrival: Arrival, observation: Observation) -> Steps:
        """The exchanges of an arrival, which starts now."""
        ...

    def end(self, observation: Observation, exchange: Exchange | None, error: Exception | None) -> None:
        """The arrival has ended, with `exchange` as its last one."""
        ...

    def serve(self, arrival: Arrival, observation: Observation, transport: Transport) -> None:
        """Perform an arrival where waiting is allowed."""
        ...


@dataclass(frozen=True, slots=True)
class Split:
    """Who is asked. `block_s` is 0 where it is drawn for each arrival: two of every four, in an order drawn with the seed."""

    seed: int
    block_s: float = 0.0

    def side(self, arrival: Arrival) -> int:
        if self.block_s:
            return _ROUND[int(arrival.t_s / self.block_s) % len(_ROUND)]
        four, place = divmod(arrival.seq, len(_ROUND))
        order = list(_ROUND)
        random.Random(f"{self.seed}:sides:{four}").shuffle(order)
        return order[place]


class Sides:
    """`Performer` of both versions, base first."""

    def __init__(self, versions: Sequence[Performer], split: Split) -> None:
        self._versions = versions
        self._split = split

    def observe(self, arrival: Arrival, intended_ns: int) -> Observation:
        side = self._split.side(arrival)
        observation = self._versions[side].observe(arrival, intended_ns)
        observation.side = side
        return observation

    def begin(self, arrival: Arrival, observation: Observation) -> Steps:
        return self._versions[observation.side].begin(arrival, observation)

    def end(self, observation: Observation, exchange: Exchange | None, error: Exception | None) -> None:
        self._versions[observation.side].end(observation, exchange, error)

    def serve(self, arrival: Arrival, observation: Observation, transport: Transport) -> None:
        self._versions[observation.side].serve(arrival, observation, transport)


class SidesLog(IngestLog):
    """Ids that either version accepted, and which of them did."""

    def __init__(self) -> None:
        super().__init__()
        self.side_of: dict[str, int] = {}

    def of(self, side: int) -> IngestLog:
        """The log that one version's journeys write to."""
        return _OneSide(self, side)


class _OneSide(IngestLog):
    def __init__(self, both: SidesLog, side: int) -> None:
        super().__init__()
        self._both = both
        self._side = side

    def accepted(self, doc_id: str) -> None:
        self._both.side_of[doc_id] = self._side
        self._both.accepted(doc_id)


class SidesChecker:
    """Asks each version for the documents that it accepted."""

    def __init__(self, checkers: Mapping[int, IngestChecker], log: SidesLog) -> None:
        self._checkers = checkers
        self._log = log

    def check(self, ids: list[str], patience_s: Callable[[], float]) -> IngestCheck:
        found = [c.check([i for i in ids if self._log.side_of[i] == side], patience_s) for side, c in self._checkers.items()]
        return IngestCheck(
            sum(f.accepted for f in found),
            sum(f.indexed for f in found),
            sum(f.unanswered for f in found),
            tuple(name for f in found for name in f.missing),
        )
