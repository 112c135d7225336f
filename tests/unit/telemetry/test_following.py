"""Targets come and go; connections to those that stay are kept."""

from __future__ import annotations

import pytest

from harness.record.clock import SystemClock
from harness.telemetry import following
from harness.telemetry.following import FollowingScraper
from harness.telemetry.scraper import Scraper, Target
from tests.unit.telemetry.test_scraper import listening, metrics


def test_it_follows_its_targets_and_keeps_what_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, ...]] = []

    class Counted(Scraper):
        def __init__(self, targets: tuple[Target, ...], clock: SystemClock) -> None:
            made.append(tuple(t.name for t in targets))
            super().__init__(targets, clock)

    monkeypatch.setattr(following, "Scraper", Counted)
    scraper = FollowingScraper(SystemClock())
    with listening(metrics("up 1\n")) as port, listening(metrics("up 2\n")) as other:
        first, second = Target("a", f"http://127.0.0.1:{port}/metrics"), Target("b", f"http://127.0.0.1:{other}/metrics")
        seen = [
            [(s.target.name, *(v for *_, v in s.samples)) for s in scraper.scrape(now)] for now in ([first], [first], [first, second], [])
        ]
        scraper.close()
        scraper.close()
    assert seen == [[("a", 1.0)], [("a", 1.0)], [("a", 1.0), ("b", 2.0)], []]
    assert made == [("a",), ("a", "b"), ()]
