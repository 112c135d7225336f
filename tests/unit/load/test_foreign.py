"""What a foreign locustfile tells becomes rows like any others."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.load.dispatch import Counts
from harness.load.foreign import RequestEvents
from harness.load.ledger import Ledger, Sinks
from harness.load.metrics import ClientMetrics
from harness.load.recorder import Recorder
from harness.record import store
from harness.record.frames import FrameScan, read_frames
from harness.record.requests import REQUEST, Outcome
from tests.unit.load.fakes import FakeClock
from tests.unit.load.plans import plan


class Heard:
    """Events that were heard, and the rows that they left."""

    def __init__(self, directory: Path, share: tuple[int, int] = (0, 1)) -> None:
        self.directory = directory
        self.clock, self.counts = FakeClock(), Counts()
        self.recorder, self.metrics = Recorder(directory, ()), ClientMetrics(())
        ledger = Ledger(plan(), self.clock, Sinks(lambda event: event, self.recorder, self.metrics), self.counts)
        self.events = RequestEvents(self.clock, self.recorder, self.metrics, ledger, self.counts, share)

    def read(self) -> tuple[Any, list[str]]:
        self.recorder.close()
        files = sorted(self.directory.glob("*.seg"))
        return np.concatenate([f for file in files for f in read_frames(file, REQUEST)]), FrameScan(files[-1]).header["journeys"]


@pytest.mark.parametrize(
    ("exception", "status", "headers", "outcome"),
    [
        (None, 200, {}, Outcome.OK),
        (ValueError("no"), 200, {}, Outcome.ERROR),
        (ConnectionError(), 0, None, Outcome.ERROR),
        (type("ReadTimeout", (Exception,), {})(), 0, None, Outcome.TIMEOUT),
        (ValueError(), 429, {"retry-after": "1"}, Outcome.REJECTED),
        (ValueError(), 429, {}, Outcome.ERROR),
        (ValueError(), 503, object(), Outcome.ERROR),
    ],
)
def test_outcomes(tmp_path: Path, exception: object, status: int, headers: Any, outcome: Outcome) -> None:
    heard = Heard(tmp_path)
    heard.events.heard("GET", "/", 250.0, exception, response=SimpleNamespace(status_code=status, headers=headers), response_length=7)
    rows, names = heard.read()
    assert names == ["GET /"]
    assert (rows["outcome"][0], rows["status"][0], (rows["end_ns"] - rows["intended_ns"])[0]) == (outcome, status, 250_000_000)


def test_names_come_as_they_are_met_and_too_many_of_them_are_others(tmp_path: Path) -> None:
    heard = Heard(tmp_path)
    for n in range(300):
        heard.events.heard("GET", f"/{n}", None)
    heard.events.heard("WS", "/0", 1.0)
    heard.events.heard("GET", "/0", 1.0)
    rows, names = heard.read()
    assert (len(names), names[0], names[-1], heard.counts.arrivals) == (255, "GET /0", "(others)", 302)
    assert rows["journey"].tolist() == [*range(254), *([254] * 47), 0]
    assert rows["seq"].tolist() == list(range(302))


def test_the_record_reads_the_names_of_its_last_segment(tmp_path: Path) -> None:
    directory = store.create(tmp_path, "a", datetime(2026, 1, 1, tzinfo=UTC), "nogit")
    store.write_run_file(directory, {})
    heard = Heard(directory.requests)
    for name in ("/a", "/b", "/c"):
        heard.events.heard("GET", name, 1.0)
    heard.recorder.close()
    history = store.read(directory.path)
    assert (history.journeys, history.requests["journey"].tolist()) == (("GET /a", "GET /b", "GET /c"), [0, 1, 2])
