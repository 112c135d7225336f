"""Several load processes that are one load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import pytest

from harness.load.driver import LoadError
from harness.load.plan import ENGINE_MODULES
from harness.record.frames import read_frames
from harness.record.requests import REQUEST, Outcome
from harness.telemetry.prometheus_text import parse
from tests.e2e.load_process import EACH_ENGINE, START_S, Load, gone, loading, wait_for
from tests.integration.backends import free_port
from tests.unit.load.target import Target

pytestmark = pytest.mark.e2e

LOCUSTFILE = """
from beside import PATH
from locust import FastHttpUser, LoadTestShape, constant, events, task


@events.test_start.add_listener
def told(environment, **_):
    environment.events.request.fire(
        request_type="RUNNER", name=type(environment.runner).__name__, response_time=1.0, response_length=0, exception=None
    )


class Asking(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def ask(self):
        self.client.post(PATH, json={"question": "What is the code of A?", "stream": False})


class Short(LoadTestShape):
    def tick(self):
        return (6, 6) if self.get_run_time() < 0.8 else None
"""


def workers_of(load: Load) -> list[psutil.Process]:
    return [child for child in psutil.Process(load.pid).children() if "--owned-worker" in child.cmdline()]


@EACH_ENGINE
def test_workers_share_one_load_and_one_record(tmp_path: Path, engine: str) -> None:
    mix, shape = {"ask": 3, "ask_stream": 1, "ingest": 1}, [{"constant": "50/s"}]
    with Target().running() as target, loading(tmp_path, target, 2.0, shape=shape, mix=mix, workers=2, engine=engine) as load:
        load.begin()
        workers = workers_of(load)
        wait_for(lambda: len(load.rows) > 20)
        text = urllib.request.urlopen(load.process.metrics_url, timeout=5).read().decode()
        assert load.process.finish(60) == 0, load.log
    rows = load.rows
    assert sorted(rows["seq"]) == list(range(100)) and set(rows["outcome"]) == {Outcome.OK}
    segments = sorted((tmp_path / "requests").glob("*.seg"))
    assert [set(np.concatenate(list(read_frames(file, REQUEST)))["seq"] % 2) for file in segments] == [{0}, {1}]
    # One schedule: every arrival was due where an undivided load would have had it.
    begun_ns = load.events("started")[0]["t0_ns"]
    assert np.abs(np.sort(rows["intended_ns"]) - begun_ns - (np.arange(100) + 0.5) / 50 * 1e9).max() < 2
    (finished,) = load.events("finished")
    ingested = int((rows["journey"] == load.plan.journey_names.index("ingest")).sum())
    assert (finished["arrivals"], finished["sent"], finished["ingest_indexed"], finished["workers_lost"]) == (100, 100, ingested, 0)
    assert {h["worker"] for h in load.events("health")} == {0, 1}
    assert [(w["worker"], w["clock_offset_ns"]) for w in load.events("worker")] == [(0, 0), (1, 0)]
    assert sum(value for name, _, value in parse(text) if name == "client_requests_total") > 20
    streamed = rows[rows["chunks"] > 1]
    assert np.array_equal(np.unique(load.gaps["seq"]), np.sort(streamed["seq"]))
    assert len(load.gaps) == (streamed["chunks"].astype(int) - 1).sum()
    assert len(workers) == 2 and all(gone(worker.pid) for worker in workers)


@EACH_ENGINE
def test_workers_share_the_users_of_a_closed_load(tmp_path: Path, engine: str) -> None:
    closed = {"users": 5, "think_time": "100ms"}
    with Target().running() as target, loading(tmp_path, target, 1.5, closed=closed, workers=2, engine=engine) as load:
        load.run()
        asked = len(target.seen)
    rows = load.rows
    (started,), (finished,) = load.events("started"), load.events("finished")
    assert (started["model"], started["users"], started["workers"], finished["arrivals"]) == ("closed", 5, 2, len(rows))
    assert asked == len(rows) and set(rows["outcome"]) == {Outcome.OK} and len(set(rows["seq"])) == len(rows)
    assert (rows["seq"] % 2 == 0).any() and (rows["seq"] % 2 == 1).any()
    at_once = [int(((rows["start_ns"] <= t_ns) & (rows["end_ns"] > t_ns)).sum()) for t_ns in rows["start_ns"]]
    assert max(at_once) <= 5, "no user asks twice at once"


def test_the_users_of_a_locustfile_are_dealt_out_to_workers(tmp_path: Path) -> None:
    """By Locust's own runners: its listeners meet a master and workers, and its shape is the master's."""
    (tmp_path / "beside.py").write_text("PATH = '/api/ask'\n")
    (tmp_path / "mine.py").write_text(LOCUSTFILE)
    with Target().running() as target:
        with loading(tmp_path, target, 2.0, locustfile=str(tmp_path / "mine.py"), workers=2) as load:
            load.run()
        asked = [(m, p) for m, p, _, _ in target.seen]
    rows, names = load.rows_by_name()
    (started,), (finished,) = load.events("started"), load.events("finished")
    assert (started["model"], started["workers"], finished["arrivals"], finished["early"]) == ("closed", 2, len(rows), False)
    assert set(names) == {"POST /api/ask", "RUNNER WorkerRunner"}
    assert sum(names == "POST /api/ask") == asked.count(("POST", "/api/ask")) > 0
    assert len(set(rows["seq"])) == len(rows) and {int(seq) % 2 for seq in rows["seq"][names == "POST /api/ask"]} == {0, 1}
    assert set(rows["outcome"]) == {Outcome.OK}


@pytest.mark.parametrize("how", ["mine", "order"])
def test_workers_of_a_locustfile_that_cannot_be_or_is_stopped(tmp_path: Path, how: str) -> None:
    text = LOCUSTFILE.partition("class Short")[0]
    (tmp_path / "beside.py").write_text("PATH = '/api/ask'\n")
    (tmp_path / "mine.py").write_text(text)
    users = {} if how == "mine" else {"closed": {"users": 4}}
    with Target().running() as target, loading(tmp_path, target, 60.0, locustfile=str(tmp_path / "mine.py"), workers=2, **users) as load:
        load.process.start()
        if how == "mine":
            with pytest.raises(LoadError, match=r"2 workers share 1 users; write `closed: \{users: 2\}` or more"):
                load.process.wait_ready(START_S)
            return
        load.process.wait_ready(START_S)
        load.process.begin(time.monotonic_ns() + 50_000_000)
        wait_for(lambda: len(load.rows) > 10)
        workers = workers_of(load)
        load.process.stop()
    assert all(gone(worker.pid) for worker in workers)
    (finished,) = load.events("finished")
    assert finished["early"] and finished["arrivals"] == len(load.rows)


@EACH_ENGINE
def test_a_worker_lost_in_the_middle_is_an_event_and_the_others_go_on(tmp_path: Path, engine: str) -> None:
    shape = [{"constant": "50/s"}]
    with Target().running() as target, loading(tmp_path, target, 3.0, shape=shape, workers=2, engine=engine) as load:
        load.begin()
        wait_for(lambda: len(load.rows) > 20)
        workers_of(load)[0].kill()
        assert load.process.finish(60) == 0, load.log
    (lost,), (finished,) = load.events("worker_lost"), load.events("finished")
    rows = load.rows
    by_worker = [int((rows["seq"] % 2 == n).sum()) for n in (0, 1)]
    assert by_worker[1 - lost["worker"]] == 75 and 0 < by_worker[lost["worker"]] < 75
    assert (finished["workers_lost"], finished["arrivals"], lost["recorded"]) == (1, len(rows), by_worker[lost["worker"]])
    assert load.events("started")[0]["expected_arrivals"] == 150


@pytest.fixture
def another_clock() -> list[str]:
    """What starts a process whose monotonic clock is ahead by 5 000 s, as if it ran on another host."""
    argv = ["unshare", "--time", "--monotonic", "5000", "--fork"]
    if subprocess.run([*argv, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no time namespace can be made here")
    return argv


@EACH_ENGINE
def test_a_worker_with_another_clock_is_recorded_on_ours(
    tmp_path: Path, another_clock: list[str], monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setenv("GAUNTLET_WORKER_TOKEN", "shown")
    master = f"127.0.0.1:{free_port()}"
    shape, remote = [{"constant": "50/s"}], {"workers": 2, "remote_workers": 1, "listen": master, "engine": engine}
    with Target().running() as target, loading(tmp_path, target, 2.0, shape=shape, **remote) as load:
        load.process.start()
        argv = [*another_clock, sys.executable, "-m", ENGINE_MODULES[engine], "--worker", master]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as worker:
            load.process.wait_ready(START_S)
            load.process.begin(time.monotonic_ns() + 50_000_000)
            assert load.process.finish(60) == 0, load.log
            assert worker.wait(60) == 0
    (far,) = [w for w in load.events("worker") if w["clock_offset_ns"]]
    assert abs(far["clock_offset_ns"] + 5000e9) <= far["clock_uncertainty_ns"] < 50e6
    rows = load.rows
    assert sorted(rows["seq"]) == list(range(100)) and set(rows["outcome"]) == {Outcome.OK}
    due_ns = load.events("started")[0]["t0_ns"] + (np.arange(100) + 0.5) / 50 * 1e9
    assert np.abs(np.sort(rows["intended_ns"]) - due_ns).max() <= far["clock_uncertainty_ns"] + 2


@pytest.mark.parametrize(("how", "engine"), [("order", "locust"), ("kill", "locust"), ("order", "asyncio"), ("kill", "asyncio")])
def test_workers_end_with_their_master(tmp_path: Path, how: str, engine: str) -> None:
    shape = [{"constant": "50/s"}]
    with Target().running() as target, loading(tmp_path, target, 60.0, shape=shape, workers=2, engine=engine) as load:
        load.begin()
        workers = workers_of(load)
        wait_for(lambda: len(load.rows) > 20)
        if how == "kill":
            os.kill(load.pid, signal.SIGKILL)
        load.process.stop()
        wait_for(lambda: all(gone(worker.pid) for worker in workers))
    assert bool(load.events("finished")) == (how == "order")
    if how == "order":
        assert load.events("finished")[0]["early"] and load.events("finished")[0]["arrivals"] == len(load.rows)
