"""Who is asked, who accepted documents, and who is asked for them in the end: one version, or two in turn."""

from __future__ import annotations

from collections.abc import Callable

from harness.load.answers import Knowledge
from harness.load.http import Transport
from harness.load.ingest import IngestChecker
from harness.load.journeys import Journeys
from harness.load.plan import LoadPlan
from harness.load.sides import Performer, Sides, SidesChecker, SidesLog, Split
from harness.record.clock import Clock

Keys = tuple[str | None, str | None]  # the API keys of the base and of the candidate


class Versions:
    """`performer` performs arrivals; `ingested` knows what was accepted."""

    def __init__(self, plan: LoadPlan, knowledge: Knowledge, clock: Clock, keys: Keys) -> None:
        self._asked = [(plan, keys[0])]
        if plan.candidate_url is not None:
            self._asked.append((plan.of_candidate(), keys[1]))
        self._clock = clock
        self.ingested = SidesLog()
        journeys = [Journeys(one, knowledge, clock, self.ingested.of(side), key) for side, (one, key) in enumerate(self._asked)]
        self.performer: Performer = Sides(journeys, Split(plan.seed, plan.block_s)) if len(journeys) > 1 else journeys[0]

    @property
    def entries(self) -> list[str]:
        """Where requests go: the base, and then the candidate."""
        return [plan.base_url for plan, _ in self._asked]

    def checker(self, transport: Transport, sleep: Callable[[float], None]) -> SidesChecker:
        """Asks each version for the documents that it accepted."""
        checkers = {side: IngestChecker(transport, plan.base_url, key, self._clock, sleep) for side, (plan, key) in enumerate(self._asked)}
        return SidesChecker(checkers, self.ingested)
