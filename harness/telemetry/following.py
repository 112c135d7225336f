"""A scraper whose targets come and go, as service discovery says."""

from __future__ import annotations

from collections.abc import Sequence

from harness.record.clock import Clock
from harness.telemetry.scraper import Scrape, Scraper, Target


class FollowingScraper:
    """Keeps the connections of a `Scraper` as long as its targets stay the same."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._targets: tuple[Target, ...] = ()
        self._scraper: Scraper | None = None

    def scrape(self, targets: Sequence[Target]) -> list[Scrape]:
        """One result a target, in the order given."""
        if self._scraper is None or tuple(targets) != self._targets:
            self.close()
            self._targets = tuple(targets)
            self._scraper = Scraper(self._targets, self._clock)
        return self._scraper.scrape()

    def close(self) -> None:
        """Idempotent."""
        if self._scraper is not None:
            self._scraper.close()
            self._scraper = None
