"""How a load process ends: in order, early, killed, without its harness, or with a reason."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.load.driver import LoadError, LoadProcess
from tests.e2e.load_process import EACH_ENGINE, START_S, Load, gone, hang, loading, wait_for
from tests.unit.load.target import Target

pytestmark = pytest.mark.e2e


@EACH_ENGINE
def test_kill_9_loses_at_most_the_last_frame(tmp_path: Path, engine: str) -> None:
    with Target().running() as target, loading(tmp_path, target, 60.0, engine=engine, shape=[{"constant": "100/s"}]) as load:
        load.begin()
        wait_for(lambda: len(load.rows) > 50)
        os.kill(load.pid, signal.SIGKILL)
        killed_ns = time.monotonic_ns()
        assert load.process.finish(60) == -signal.SIGKILL
        rows = load.rows
    assert sorted(rows["seq"]) == list(range(len(rows)))
    assert (killed_ns - rows["end_ns"].max()) / 1e9 < 5.0
    assert load.events("started") and not load.events("finished")


@pytest.mark.parametrize("how", ["order", "SIGTERM"])
def test_a_stop_ends_it_early_and_in_order(tmp_path: Path, how: str) -> None:
    mix = {"ask": 3, "ingest": 1}
    with Target().running() as target, loading(tmp_path, target, 60.0, shape=[{"constant": "50/s"}], mix=mix) as load:
        load.begin()
        wait_for(lambda: len(load.rows) > 20)
        if how == "SIGTERM":
            os.kill(load.pid, signal.SIGTERM)
            assert load.process.finish(60) == 0
        load.process.stop()
        assert load.process.poll() == 0
    (finished,) = load.events("finished")
    assert (finished["early"], finished["cancelled"], finished["arrivals"]) == (True, 0, len(load.rows))
    assert finished["ingest_accepted"] == finished["ingest_indexed"] > 0


@EACH_ENGINE
def test_a_stop_does_not_wait_for_a_target_that_hangs(tmp_path: Path, engine: str) -> None:
    with Target().running() as target:
        target.routes["POST /api/ask"] = hang
        with loading(tmp_path, target, 60.0, engine=engine, shape=[{"constant": "50/s"}]) as load:
            load.begin()
            wait_for(lambda: len(target.seen) > 20)
            begun = time.monotonic()
            load.process.stop()
            assert time.monotonic() - begun < 20
    (finished,) = load.events("finished")
    assert finished["cancelled"] == finished["sent"] > 20
    assert len(load.rows) == 0


HARNESS = """
import sys, time
from pathlib import Path
from harness.load.driver import LoadProcess
from harness.load.plan import LoadPlan
load = LoadProcess(LoadPlan.from_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), None)
load.start()
load.wait_ready(30)
load.begin(time.monotonic_ns())
assert "locust" not in sys.modules and "gevent" not in sys.modules
print(load.pid, flush=True)
time.sleep(60)
"""


def test_it_does_not_outlive_a_harness_that_was_killed(tmp_path: Path) -> None:
    with Target().running() as target:
        load = Load(tmp_path, target.url, 60.0, shape=[{"constant": "50/s"}])
        (tmp_path / "plan.json").write_text(load.plan.to_json())
        argv = [sys.executable, "-c", HARNESS, str(tmp_path / "plan.json"), str(tmp_path)]
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        ) as harness:
            assert harness.stdout is not None
            pid = int(harness.stdout.readline())
            wait_for(lambda: len(load.rows) > 10)
            harness.kill()
            harness.wait()
            wait_for(lambda: gone(pid))
    assert sorted(load.rows["seq"]) == list(range(len(load.rows)))


@EACH_ENGINE
def test_rows_that_cannot_be_written_fail_the_load(tmp_path: Path, engine: str) -> None:
    """A limit on the size of files stands for a full disk."""
    with Target().running() as target, loading(tmp_path, target, 20.0, shape=[{"constant": "100/s"}], engine=engine) as load:
        load.begin()
        wait_for(lambda: len(load.rows) > 10)
        size = (tmp_path / "requests" / "load.seg").stat().st_size
        resource.prlimit(load.pid, resource.RLIMIT_FSIZE, (size + 100, size + 100))
        assert load.process.finish(60) == 1, load.log
    assert "File too large" in load.log and not load.events("finished")


@EACH_ENGINE
def test_a_target_that_is_not_there_is_an_error_with_the_reason(tmp_path: Path, engine: str) -> None:
    with Target().running() as target:
        url = target.url
    load = Load(tmp_path, url, 1.0, engine=engine, shape=[{"constant": "20/s"}])
    load.process.start()
    pid = load.pid
    with pytest.raises(LoadError, match=r"ended with 1 before it was ready(.|\n)*Connection refused"):
        load.process.wait_ready(START_S)
    assert gone(pid)
    assert "UnreachableError" in load.events("failed")[0]["error"]


def test_questions_of_another_format_are_an_error_with_the_reason(tmp_path: Path) -> None:
    with Target().running() as target, loading(tmp_path, target, 1.0, shape=[{"constant": "20/s"}]) as load:
        (tmp_path / "questions.jsonl").write_text('{"id": 1}\n')
        load.process.start()
        with pytest.raises(LoadError, match="ended with 1 before"):
            load.process.wait_ready(START_S)
    assert load.events("failed") == [{"state": "failed", "error": "KeyError: 'question'"}]


@EACH_ENGINE
def test_a_defect_of_a_journey_fails_the_load_and_is_no_outcome(tmp_path: Path, engine: str) -> None:
    """Nothing that the target does ends here; a header that cannot be encoded (the plan refuses it) stands for a bug."""
    with Target().running() as target:
        load = Load(
            tmp_path, target.url, 60.0, engine=engine, shape=[{"constant": "20/s"}], mix={"home": 1}, journeys={"home": {"get": "/"}}
        )
        broken = replace(load.plan, journeys=(replace(load.plan.journeys[0], headers={"x-name": "\u20ac"}),))
        load.process = LoadProcess(broken, tmp_path, None)
        load.begin()
        assert load.process.finish(60) == 1
    assert "UnicodeEncodeError" in load.events("failed")[0]["error"]
    assert len(load.rows) == 0 and not load.events("finished")


def test_orders_out_of_turn_are_errors(tmp_path: Path) -> None:
    with Target().running() as target, loading(tmp_path, target, 1.0, shape=[{"constant": "20/s"}]) as load:
        with pytest.raises(LoadError, match="was not started"):
            load.process.begin(0)
        with pytest.raises(LoadError, match="not ready yet"):
            _ = load.process.metrics_url
        load.process.stop()
        load.process.start()
        with pytest.raises(LoadError, match="was not ready within 0s"):
            load.process.wait_ready(0.0)
        assert gone(load.pid)
        with pytest.raises(LoadError, match="takes no orders"):
            load.process.begin(0)
