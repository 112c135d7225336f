"""Requests that tell how far somebody has read, and how far he is going to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.judging import judge_run, write_reports
from harness.record import store, watched
from harness.record.history import History
from harness.record.progress import UNTOLD
from tests.benchmarks import synthetic_record
from tests.heard import Heard

REQUESTS = 20_000


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_record.write(tmp_path_factory.mktemp("scale") / "run", REQUESTS, 0).path


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short records are estimated, too."""
    monkeypatch.setattr(watched, "LEAST_ROWS", 1)
    monkeypatch.setattr(watched, "SAMPLE_BLOCKS", 32)


@pytest.mark.usefixtures("any_size")
def test_all_stages_of_judging_are_told_and_the_estimates_hold(record: Path) -> None:
    heard = Heard()
    write_reports(judge_run(record, progress=heard), heard)
    assert [name for name, _ in heard.stages] == ["reading run", "judging", "writing the reports"]
    read, judged, written = (done / total for done, (_, total) in zip(heard.done, heard.stages, strict=True))
    assert 0.95 < read <= 1.0, "of the bytes; heads of files and frames are not counted"
    assert heard.done[1] > 2 * REQUESTS, "judging goes over the requests more than once"
    assert 0.8 < judged < 1.25
    assert 0.8 < written < 1.25


@pytest.mark.usefixtures("any_size")
def test_a_verdict_is_the_same_whoever_is_told(record: Path) -> None:
    names = ("verdict.json", "junit.xml", "verdict.sarif", "report.html")
    found = []
    for progress in (UNTOLD, Heard()):
        write_reports(judge_run(record, progress=progress), progress)
        found.append([(record / name).read_bytes() for name in names])
    assert found[0] == found[1]


def test_a_short_record_is_not_estimated_and_one_that_nobody_follows_is_left_alone(record: Path) -> None:
    history = store.read(record)
    assert watched.begin("judging", pytest.fail, UNTOLD, history) == (history,)
    heard = Heard()
    (found,) = watched.begin("judging", pytest.fail, heard, history)
    assert heard.stages == [("judging", 0)]
    assert np.array_equal(found.requests.rows(), history.requests.rows())
    assert heard.done == [REQUESTS]


@pytest.mark.usefixtures("any_size")
def test_an_estimate_that_fails_is_none(record: Path) -> None:
    def broken(_: History) -> None:
        raise ValueError("a defect of a check")

    assert watched.rows_asked(broken, store.read(record)) == 0


@pytest.mark.usefixtures("any_size")
def test_what_is_asked_of_two_records_is_added_up(record: Path) -> None:
    def work(base: History, candidate: History) -> None:
        base.requests["end_ns"]
        for _ in range(2):
            candidate.in_phase("fault")["end_ns"]

    history = store.read(record)
    assert watched.rows_asked(work, history, history) == REQUESTS + 2 * len(history.in_phase("fault"))
