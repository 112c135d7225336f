"""What is counted from the rows: few times, and never too late for who asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray
from prometheus_client import generate_latest

from harness.load.dispatch import Counts
from harness.load.ledger import Ledger, Sinks
from harness.load.metrics import ClientMetrics
from harness.load.observation import Observation
from harness.load.recorder import Recorder
from harness.record.events import Event
from harness.record.requests import Outcome
from harness.telemetry.prometheus_text import parse
from tests.unit.load.fakes import FakeClock
from tests.unit.load.plans import plan


class Account:
    """A ledger, and how many rows were counted at a time."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        of, self.clock = plan(tmp_path, mix={"search": 1}), FakeClock()
        self.metrics = ClientMetrics(of.journey_names)
        self.counted: list[int] = []
        count = self.metrics.count
        monkeypatch.setattr(self.metrics, "count", lambda rows: self._count(rows, count))
        self.events: list[Event] = []
        self.ledger = Ledger(of, self.clock, Sinks(self._record, Recorder(tmp_path, of.journey_names), self.metrics), Counts())

    def end(self, requests: int) -> None:
        now_ns = self.clock.t_ns
        for seq in range(requests):
            self.ledger.ended(Observation(seq, 0, now_ns - 5_000_000, start_ns=now_ns - 3_000_000, end_ns=now_ns, outcome=Outcome.OK))

    def scraped(self) -> float:
        samples = parse(generate_latest(self.metrics.registry).decode())
        return sum(value for name, _, value in samples if name == "client_requests_total")

    def _count(self, rows: NDArray[Any], count: Any) -> None:
        self.counted.append(len(rows))
        count(rows)

    def _record(self, event: Event) -> Event:
        self.events.append(event)
        return event


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    return Account(tmp_path, monkeypatch)


def test_counting_costs_as_much_for_one_frame_as_for_many(account: Account) -> None:
    account.end(6 * 2048)
    assert account.counted == [2048] * 6


def test_a_scrape_shows_every_request_that_has_ended(account: Account) -> None:
    account.end(300)
    assert account.counted == []
    assert (account.scraped(), account.counted) == (300, [300])
    account.end(1)
    assert (account.scraped(), account.counted) == (301, [300, 1])


def test_health_knows_of_every_request_that_has_ended(account: Account) -> None:
    account.end(300)
    account.clock.sleep(1.1)
    account.ledger.look()
    (health,) = account.events
    assert (health.data["state"], health.data["started"], account.counted) == ("health", 300, [300])
    assert health.data["dispatch_lag_ms_p99"] == pytest.approx(2.0, rel=0.021)
