"""The load process as it is: Locust, sockets, signals, and a target that misbehaves."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from harness.load.driver import LoadError, LoadProcess
from harness.load.plan import LoadFiles, LoadPlan, build
from harness.record.frames import FrameScan, read_frames
from harness.record.gaps import Gaps
from harness.record.journal import read_journal
from harness.record.requests import REQUEST, Finish, Outcome
from harness.scenario.model import LoadSpec
from harness.telemetry.prometheus_text import parse
from tests.unit.load import target as doubles
from tests.unit.load.target import Target

pytestmark = pytest.mark.e2e

START_S = 30.0  # a generous deadline: the machine may be busy


class Load:
    """A load process on a plan of `duration_s`, and what it left."""

    def __init__(self, directory: Path, url: str, duration_s: float, **load: Any) -> None:
        (directory / "requests").mkdir()
        (directory / "corpus.jsonl").write_text("\n".join(map(json.dumps, doubles.CORPUS)))
        (directory / "questions.jsonl").write_text("\n".join(map(json.dumps, doubles.QUESTIONS)))
        files = [directory / name for name in ("requests", "events-load.jsonl", "questions.jsonl", "corpus.jsonl")]
        spec = LoadSpec.model_validate({"mix": {"ask": 1}, **load})
        self.directory = directory
        given = LoadFiles(*files, gaps_dir=directory / "gaps")
        self.plan: LoadPlan = build(
            spec, given, run_id="run-1", duration_s=duration_s, seed=5, base_url=url, service_urls={}, preferred_model="big"
        )
        self.process = LoadProcess(self.plan, directory, "secret-key")

    def begin(self) -> None:
        self.process.start()
        self.process.wait_ready(START_S)
        self.process.begin(time.monotonic_ns() + 50_000_000)

    def run(self) -> None:
        """To its own end."""
        self.begin()
        assert self.process.finish(self.plan.duration_s + 60) == 0, self.log

    @property
    def rows(self) -> NDArray[Any]:
        frames = [frame for file in sorted((self.directory / "requests").glob("*.seg")) for frame in read_frames(file, REQUEST)]
        return np.concatenate(frames) if frames else np.zeros(0, REQUEST)

    @property
    def gaps(self) -> NDArray[Any]:
        return Gaps.find(self.directory / "gaps", []).rows

    @property
    def log(self) -> str:
        return (self.directory / "logs" / "load.log").read_text()

    def events(self, state: str) -> list[dict[str, Any]]:
        return [dict(e.data) for e in read_journal(self.directory / "events-load.jsonl") if e.data["state"] == state]

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid


@pytest.fixture(params=["locust", "asyncio"])
def engine(request: pytest.FixtureRequest) -> str:
    """For what must be the same on every engine."""
    return str(request.param)


@contextmanager
def loading(directory: Path, target: Target, duration_s: float, **load: Any) -> Iterator[Load]:
    one = Load(directory, target.url, duration_s, **load)
    try:
        yield one
    finally:
        one.process.stop()


def wait_for(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def corrected_ms(rows: NDArray[Any], q: float) -> float:
    return float(np.percentile((rows["end_ns"] - rows["intended_ns"]) / 1e6, q))


async def hang(_method: str, _path: str, _body: dict[str, Any], _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def test_all_journeys_are_recorded_raw_and_counted(tmp_path: Path, engine: str) -> None:
    mix = {"ask": 6, "ask_stream": 3, "search": 1, "ingest": 1}
    with Target().running() as target, loading(tmp_path, target, 4.0, engine=engine, shape=[{"constant": "25/s"}], mix=mix) as load:
        load.begin()
        wait_for(lambda: len(load.rows) > 50)
        text = urllib.request.urlopen(load.process.metrics_url, timeout=5).read().decode()
        assert load.process.finish(60) == 0, load.log
        rows, seen = load.rows, target.seen
    assert sorted(rows["seq"]) == list(range(100))
    assert set(rows["outcome"]) == {Outcome.OK}
    assert {(m, p.rpartition("/note")[0] or p) for m, p, _, _ in seen} == {
        ("POST", "/api/ask"),
        ("POST", "/api/search"),
        ("POST", "/api/documents"),
        ("GET", "/api/documents"),
    }
    assert {h["authorization"] for _, _, _, h in seen} == {"Bearer secret-key"}
    streams = rows[rows["journey"] == 1]
    assert (streams["first_ns"] >= streams["start_ns"]).all() and (streams["last_ns"] <= streams["end_ns"]).all()
    assert set(streams["finish"]) == {Finish.STOP} and set(streams["chunks"]) == {7, 8}
    asked = rows[np.isin(rows["journey"], (0, 1))]
    assert set(zip(asked["question"].tolist(), asked["canary"].tolist(), asked["refused"].tolist(), strict=True)) == {(0, 1, 0), (1, -1, 1)}
    assert set(asked["preferred"]) == {1} and set(asked["tokens"]) == {7}
    assert rows[rows["journey"] != 3]["sources"][:, :3].tolist() == [[1, 0, -1]] * int((rows["journey"] != 3).sum())
    (finished,) = load.events("finished")
    ingested = int((rows["journey"] == 3).sum())
    assert (finished["arrivals"], finished["sent"], finished["ingest_accepted"], finished["ingest_indexed"]) == (
        100,
        100,
        ingested,
        ingested,
    )
    health = load.events("health")
    assert len(health) >= 3 and all(0 <= h["cpu_ratio"] < 1.5 and 0 <= h["steal_ratio"] <= 1 for h in health)
    names = {name for name, _, _ in parse(text)}
    assert {
        "client_requests_total",
        "client_request_duration_seconds_bucket",
        "client_first_token_seconds_count",
        "client_quality_total",
    } <= names
    assert {"client_requests_in_flight", "client_offered_total"} <= names


def test_a_stall_shows_in_the_tail_and_takes_no_arrival_away(tmp_path: Path) -> None:
    """The reason for the open model: a closed one sends less while the target stalls, and reports a healthy tail."""
    with Target().running() as target:
        free_at = time.monotonic()

        async def stalling(method: str, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(max(0.0, free_at - time.monotonic()))
            await doubles.ask(method, path, body, writer)

        target.routes["POST /api/ask"] = stalling
        with loading(tmp_path, target, 6.0, shape=[{"constant": "40/s"}]) as load:
            load.begin()
            wait_for(lambda: len(load.rows) > 20)
            free_at = time.monotonic() + 3.0
            assert load.process.finish(60) == 0, load.log
            rows = load.rows
    assert sorted(rows["seq"]) == list(range(240))
    assert set(rows["outcome"]) == {Outcome.OK}
    # The 120 arrivals of the stall wait from 3 s down to nothing: a quarter of the run waits longer than 1.5 s.
    assert corrected_ms(rows, 99) > 2700
    assert corrected_ms(rows, 80) > 1000
    assert corrected_ms(rows, 25) < 500
    assert load.events("finished")[0]["dispatch_lag_ms_p50"] < 50


def test_a_closed_load_has_no_more_requests_under_way_than_users_and_says_so(tmp_path: Path, engine: str) -> None:
    under_way = most = 0

    async def slow(method: str, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.1)
        under_way -= 1  # before the answer: it may be asked again as soon as that is read
        await doubles.ask(method, path, body, writer)

    with Target().running() as target:
        target.routes["POST /api/ask"] = slow
        closed = {"users": 3, "think_time": "100ms"}
        with loading(tmp_path, target, 3.0, closed=closed, engine=engine) as load:
            load.run()
            rows = load.rows
    assert (most, set(rows["outcome"])) == (3, {Outcome.OK})
    assert 15 <= len(rows) <= 45
    begun_ns = load.events("started")[0]["t0_ns"]
    assert rows["intended_ns"].max() < begun_ns + 3e9
    assert (load.events("started")[0]["model"], load.events("started")[0]["users"]) == ("closed", 3)


def workers_of(load: Load) -> list[psutil.Process]:
    return [child for child in psutil.Process(load.pid).children() if "--owned-worker" in child.cmdline()]


def test_workers_share_one_load_and_one_record(tmp_path: Path) -> None:
    mix = {"ask": 3, "ask_stream": 1, "ingest": 1}
    with Target().running() as target, loading(tmp_path, target, 3.0, shape=[{"constant": "50/s"}], mix=mix, workers=2) as load:
        load.begin()
        workers = workers_of(load)
        wait_for(lambda: len(load.rows) > 30)
        text = urllib.request.urlopen(load.process.metrics_url, timeout=5).read().decode()
        assert load.process.finish(60) == 0, load.log
    rows = load.rows
    assert sorted(rows["seq"]) == list(range(150)) and set(rows["outcome"]) == {Outcome.OK}
    segments = sorted((tmp_path / "requests").glob("*.seg"))
    assert [set(np.concatenate(list(read_frames(file, REQUEST)))["seq"] % 2) for file in segments] == [{0}, {1}]
    # One schedule: every arrival was due where an undivided load would have had it.
    begun_ns = load.events("started")[0]["t0_ns"]
    assert np.abs(np.sort(rows["intended_ns"]) - begun_ns - (np.arange(150) + 0.5) / 50 * 1e9).max() < 2
    (finished,) = load.events("finished")
    ingested = int((rows["journey"] == load.plan.journey_names.index("ingest")).sum())
    assert (finished["arrivals"], finished["sent"], finished["ingest_indexed"], finished["workers_lost"]) == (150, 150, ingested, 0)
    assert {h["worker"] for h in load.events("health")} == {0, 1}
    assert [(w["worker"], w["clock_offset_ns"]) for w in load.events("worker")] == [(0, 0), (1, 0)]
    assert sum(value for name, _, value in parse(text) if name == "client_requests_total") > 30
    streamed = rows[rows["chunks"] > 1]
    assert np.array_equal(np.unique(load.gaps["seq"]), np.sort(streamed["seq"]))
    assert len(load.gaps) == (streamed["chunks"].astype(int) - 1).sum()
    assert len(workers) == 2 and all(gone(worker.pid) for worker in workers)


def test_a_worker_lost_in_the_middle_is_an_event_and_the_others_go_on(tmp_path: Path) -> None:
    with Target().running() as target, loading(tmp_path, target, 6.0, shape=[{"constant": "50/s"}], workers=2) as load:
        load.begin()
        wait_for(lambda: len(load.rows) > 60)
        workers_of(load)[0].kill()
        assert load.process.finish(60) == 0, load.log
    (lost,), (finished,) = load.events("worker_lost"), load.events("finished")
    rows = load.rows
    by_worker = [int((rows["seq"] % 2 == n).sum()) for n in (0, 1)]
    assert by_worker[1 - lost["worker"]] == 150 and 0 < by_worker[lost["worker"]] < 150
    assert (finished["workers_lost"], finished["arrivals"], lost["recorded"]) == (1, len(rows), by_worker[lost["worker"]])
    assert load.events("started")[0]["expected_arrivals"] == 300


@pytest.fixture
def another_clock() -> list[str]:
    """What starts a process whose monotonic clock is ahead by 5 000 s, as if it ran on another host."""
    argv = ["unshare", "--time", "--monotonic", "5000", "--fork"]
    if subprocess.run([*argv, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no time namespace can be made here")
    return argv


def test_a_worker_with_another_clock_is_recorded_on_ours(tmp_path: Path, another_clock: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAUNTLET_WORKER_TOKEN", "shown")
    with socket.create_server(("127.0.0.1", 0)) as free:
        master = f"127.0.0.1:{free.getsockname()[1]}"
    shape, remote = [{"constant": "50/s"}], {"workers": 2, "remote_workers": 1, "listen": master}
    with Target().running() as target, loading(tmp_path, target, 3.0, shape=shape, **remote) as load:
        load.process.start()
        argv = [*another_clock, sys.executable, "-m", "harness.load.users", "--worker", master]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as worker:
            load.process.wait_ready(START_S)
            load.process.begin(time.monotonic_ns() + 50_000_000)
            assert load.process.finish(60) == 0, load.log
            assert worker.wait(20) == 0
    (far,) = [w for w in load.events("worker") if w["clock_offset_ns"]]
    assert abs(far["clock_offset_ns"] + 5000e9) <= far["clock_uncertainty_ns"] < 50e6
    rows = load.rows
    assert sorted(rows["seq"]) == list(range(150)) and set(rows["outcome"]) == {Outcome.OK}
    due_ns = load.events("started")[0]["t0_ns"] + (np.arange(150) + 0.5) / 50 * 1e9
    assert np.abs(np.sort(rows["intended_ns"]) - due_ns).max() <= far["clock_uncertainty_ns"] + 2


@pytest.mark.parametrize("how", ["order", "kill"])
def test_workers_end_with_their_master(tmp_path: Path, how: str) -> None:
    with Target().running() as target, loading(tmp_path, target, 60.0, shape=[{"constant": "50/s"}], workers=2) as load:
        load.begin()
        workers = workers_of(load)
        wait_for(lambda: len(load.rows) > 20)
        if how == "kill":
            os.kill(load.pid, signal.SIGKILL)
        load.process.stop()
        wait_for(lambda: all(gone(worker.pid) for worker in workers), 10)
    assert bool(load.events("finished")) == (how == "order")
    if how == "order":
        assert load.events("finished")[0]["early"] and load.events("finished")[0]["arrivals"] == len(load.rows)


LOCUSTFILE = """
from locust import FastHttpUser, HttpUser, between, task


class Browsing(FastHttpUser):
    wait_time = between(0.05, 0.1)

    @task(3)
    def ask(self):
        self.client.post("/api/ask", json={"question": "What is the code of A?", "stream": False})

    @task
    def missing(self):
        with self.client.get("/nowhere", name="/nowhere", catch_response=True) as response:
            response.failure("not there")


class Elsewhere(HttpUser):
    wait_time = between(0.2, 0.3)

    @task
    def leave(self):
        self.client.get("http://192.0.2.1/", timeout=5)
"""


def test_a_locustfile_runs_as_it_is_and_every_request_of_it_is_recorded(tmp_path: Path) -> None:
    async def missing(_method: str, _path: str, _body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        await doubles.reply(writer, 404, {})

    (tmp_path / "mine.py").write_text(LOCUSTFILE)
    with Target().running() as target:
        target.routes["GET /nowhere"] = missing
        with loading(tmp_path, target, 3.0, locustfile=str(tmp_path / "mine.py"), closed={"users": 6}) as load:
            load.run()
            asked = [(m, p) for m, p, _, _ in target.seen]
            files = sorted((tmp_path / "requests").glob("*.seg"))
            rows = np.concatenate([frame for file in files for frame in read_frames(file, REQUEST)])
            names = FrameScan(files[-1]).header["journeys"]
    by_name = {name: rows[rows["journey"] == n] for n, name in enumerate(names)}
    assert set(by_name) == {"POST /api/ask", "GET /nowhere", "GET /"}
    assert (len(by_name["POST /api/ask"]), len(by_name["GET /nowhere"])) == (
        asked.count(("POST", "/api/ask")),
        asked.count(("GET", "/nowhere")),
    )
    assert set(by_name["POST /api/ask"]["outcome"]) == {Outcome.OK} and set(by_name["POST /api/ask"]["status"]) == {200}
    assert set(by_name["GET /nowhere"]["outcome"]) == {Outcome.ERROR} and set(by_name["GET /nowhere"]["status"]) == {404}
    assert set(by_name["GET /"]["outcome"]) == {Outcome.ERROR}, "the load must not leave this machine"
    assert sorted(rows["seq"]) == list(range(len(rows))) and (rows["end_ns"] >= rows["start_ns"]).all()
    assert load.events("started")[0]["model"] == "closed" and load.events("finished")[0]["arrivals"] == len(rows)


def test_a_locustfile_without_users_is_an_error_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("x = 1\n")
    with Target().running() as target, loading(tmp_path, target, 3.0, locustfile=str(tmp_path / "mine.py")) as load:
        load.process.start()
        with pytest.raises(LoadError, match="no user class in it"):
            load.process.wait_ready(START_S)


def test_a_stream_is_timed_chunk_by_chunk(tmp_path: Path, engine: str) -> None:
    async def paced(_method: str, _path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        document = doubles.answer(body["question"])
        await doubles.stream(writer, [{"sources": []}, *({"delta": "x"},) * 5, {"done": True, **document}, "[DONE]"], gap_s=0.05)

    with Target().running() as target:
        target.routes["POST /api/ask"] = paced
        with loading(tmp_path, target, 2.0, engine=engine, shape=[{"constant": "10/s"}], mix={"ask_stream": 1}) as load:
            load.run()
            rows, gaps = load.rows, load.gaps
    assert (len(rows), set(rows["outcome"]), set(rows["chunks"])) == (20, {Outcome.OK}, {5})
    ttft_ms = (rows["first_ns"] - rows["intended_ns"]) / 1e6
    decode_ms = (rows["last_ns"] - rows["first_ns"]) / 1e6 / 4
    assert 50 <= float(np.median(ttft_ms)) < 200
    assert 50 <= float(np.median(decode_ms)) < 100
    assert (rows["max_gap_ns"] >= (rows["last_ns"] - rows["first_ns"]) / 4).all()
    gaps_us = gaps["gap_us"].reshape(20, 4)  # each answer has five pieces of content, and keeps its four gaps in order
    assert gaps["seq"].tolist() == np.repeat(np.arange(20), 4).tolist()
    by_seq = rows[np.argsort(rows["seq"])]
    assert np.abs(gaps_us.max(axis=1) - by_seq["max_gap_ns"] // 1000).max() <= 1
    assert np.abs(gaps_us.sum(axis=1) - (by_seq["last_ns"] - by_seq["first_ns"]) // 1000).max() <= 4


def test_a_target_that_hangs_holds_every_slot_and_the_rest_is_dropped_for_its_sake(tmp_path: Path, engine: str) -> None:
    with Target().running() as target:
        target.routes["POST /api/ask"] = hang
        with loading(tmp_path, target, 2.0, engine=engine, shape=[{"constant": "30/s"}], timeout="5s", max_in_flight=10) as load:
            load.run()
            rows = load.rows
    (finished,) = load.events("finished")
    assert (finished["arrivals"], finished["sent"], finished["dropped_by_target"], finished["dropped_by_generator"]) == (60, 10, 50, 0)
    dropped, timed_out = rows[rows["outcome"] == Outcome.DROPPED], rows[rows["outcome"] == Outcome.TIMEOUT]
    assert (len(dropped), set(dropped["drop_cause"]), set(dropped["start_ns"])) == (50, {0}, {0})
    durations_s = (timed_out["end_ns"] - timed_out["start_ns"]) / 1e9
    assert len(timed_out) == 10 and (durations_s >= 5.0).all() and (durations_s < 6.0).all()


def test_broken_answers_are_told_apart(tmp_path: Path, engine: str) -> None:
    async def cut(method: str, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if body["stream"]:
            await doubles.stream(writer, [{"delta": "half"}], complete=False)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        raise ConnectionError

    async def refuse(method: str, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        await doubles.reply(writer, 429, {"error": {}}, {"Retry-After": "1"})

    async def close(method: str, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        raise ConnectionError

    with Target().running() as target:
        target.routes |= {"POST /api/ask": cut, "POST /api/search": refuse, "POST /api/documents": close}
        mix = {"ask": 1, "ask_stream": 1, "search": 1, "ingest": 1}
        with loading(tmp_path, target, 2.0, engine=engine, shape=[{"constant": "30/s"}], mix=mix) as load:
            load.run()
            rows = load.rows
    assert {(int(r["journey"]), int(r["outcome"]), int(r["status"])) for r in rows} == {
        (0, Outcome.TRUNCATED, 200),
        (1, Outcome.TRUNCATED, 200),
        (2, Outcome.REJECTED, 429),
        (3, Outcome.ERROR, 0),
    }


def test_kill_9_loses_at_most_the_last_frame(tmp_path: Path, engine: str) -> None:
    with Target().running() as target, loading(tmp_path, target, 60.0, engine=engine, shape=[{"constant": "100/s"}]) as load:
        load.begin()
        wait_for(lambda: len(load.rows) > 100)
        os.kill(load.pid, signal.SIGKILL)
        killed_ns = time.monotonic_ns()
        assert load.process.finish(10) == -signal.SIGKILL
        rows = load.rows
    assert sorted(rows["seq"]) == list(range(len(rows)))
    assert (killed_ns - rows["end_ns"].max()) / 1e9 < 1.5
    assert load.events("started") and not load.events("finished")


@pytest.mark.parametrize("how", ["order", "SIGTERM"])
def test_a_stop_ends_it_early_and_in_order(tmp_path: Path, how: str) -> None:
    mix = {"ask": 3, "ingest": 1}
    with Target().running() as target, loading(tmp_path, target, 60.0, shape=[{"constant": "50/s"}], mix=mix) as load:
        load.begin()
        wait_for(lambda: len(load.rows) > 20)
        if how == "SIGTERM":
            os.kill(load.pid, signal.SIGTERM)
            assert load.process.finish(20) == 0
        load.process.stop()
        assert load.process.poll() == 0
    (finished,) = load.events("finished")
    assert (finished["early"], finished["cancelled"], finished["arrivals"]) == (True, 0, len(load.rows))
    assert finished["ingest_accepted"] == finished["ingest_indexed"] > 0


def test_a_stop_does_not_wait_for_a_target_that_hangs(tmp_path: Path, engine: str) -> None:
    with Target().running() as target:
        target.routes["POST /api/ask"] = hang
        with loading(tmp_path, target, 60.0, engine=engine, shape=[{"constant": "50/s"}]) as load:
            load.begin()
            wait_for(lambda: len(target.seen) > 20)
            begun = time.monotonic()
            load.process.stop()
            assert time.monotonic() - begun < 7
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
            wait_for(lambda: gone(pid), 5)
    assert sorted(load.rows["seq"]) == list(range(len(load.rows)))


def test_the_key_is_neither_in_the_plan_nor_in_the_record_and_the_run_id_is_in_the_environment(tmp_path: Path) -> None:
    with Target().running() as target, loading(tmp_path, target, 1.0, shape=[{"constant": "20/s"}]) as load:
        load.process.start()
        load.process.wait_ready(START_S)  # before that it may still be us, about to become it
        environment = psutil.Process(load.pid).environ()
        assert os.getsid(load.pid) == load.pid
        load.process.begin(time.monotonic_ns())
        assert load.process.finish(60) == 0
    assert environment["GAUNTLET_RUN_ID"] == "run-1"
    assert [p for p in tmp_path.rglob("*") if p.is_file() and b"secret-key" in p.read_bytes()] == []


def test_rows_that_cannot_be_written_fail_the_load(tmp_path: Path, engine: str) -> None:
    """A limit on the size of files stands for a full disk."""
    with Target().running() as target, loading(tmp_path, target, 20.0, shape=[{"constant": "100/s"}], engine=engine) as load:
        load.begin()
        wait_for(lambda: len(load.rows) > 10)
        size = (tmp_path / "requests" / "load.seg").stat().st_size
        resource.prlimit(load.pid, resource.RLIMIT_FSIZE, (size + 100, size + 100))
        assert load.process.finish(15) == 1, load.log
    assert "File too large" in load.log and not load.events("finished")


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


def test_a_defect_of_a_journey_fails_the_load_and_is_no_outcome(tmp_path: Path, engine: str) -> None:
    """Nothing that the target does ends here; a header that cannot be encoded (the plan refuses it) stands for a bug."""
    with Target().running() as target:
        load = Load(
            tmp_path, target.url, 60.0, engine=engine, shape=[{"constant": "20/s"}], mix={"home": 1}, journeys={"home": {"get": "/"}}
        )
        broken = replace(load.plan, journeys=(replace(load.plan.journeys[0], headers={"x-name": "\u20ac"}),))
        load.process = LoadProcess(broken, tmp_path, None)
        load.begin()
        assert load.process.finish(20) == 1
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


def test_this_process_never_imported_locust() -> None:
    assert not {"locust", "gevent"} & set(sys.modules)
