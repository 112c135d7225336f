"""The load process as it is: Locust, sockets, and a target that misbehaves."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from harness.record.requests import Finish, Outcome
from harness.telemetry.prometheus_text import parse
from tests.e2e.load_process import EACH_ENGINE, START_S, hang, loading, wait_for
from tests.unit.load import target as doubles
from tests.unit.load.target import Target

pytestmark = pytest.mark.e2e


def corrected_ms(rows: NDArray[Any], q: float) -> float:
    return float(np.percentile((rows["end_ns"] - rows["intended_ns"]) / 1e6, q))


@EACH_ENGINE
def test_all_journeys_are_recorded_raw_and_counted(tmp_path: Path, engine: str) -> None:
    mix = {"ask": 6, "ask_stream": 3, "search": 1, "ingest": 1}
    with Target().running() as target, loading(tmp_path, target, 2.5, engine=engine, shape=[{"constant": "40/s"}], mix=mix) as load:
        load.begin()
        wait_for(lambda: len(load.rows) > 30)
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
    assert len(health) >= 2 and all(0 <= h["cpu_ratio"] < 1.5 and 0 <= h["steal_ratio"] <= 1 for h in health)
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
        with loading(tmp_path, target, 4.0, shape=[{"constant": "40/s"}]) as load:
            load.begin()
            wait_for(lambda: len(load.rows) > 20)
            free_at = time.monotonic() + 2.0
            assert load.process.finish(60) == 0, load.log
            rows = load.rows
    assert sorted(rows["seq"]) == list(range(160))
    assert set(rows["outcome"]) == {Outcome.OK}
    # The 80 arrivals of the stall wait from 2 s down to nothing: a quarter of the run waits longer than 1 s.
    assert corrected_ms(rows, 99) > 1700
    assert corrected_ms(rows, 80) > 700
    assert corrected_ms(rows, 25) < 500
    assert load.events("finished")[0]["dispatch_lag_ms_p50"] < 50


@EACH_ENGINE
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
        with loading(tmp_path, target, 1.5, closed=closed, engine=engine) as load:
            load.run()
            rows = load.rows
    assert (most, set(rows["outcome"])) == (3, {Outcome.OK})
    assert 3 <= len(rows) <= 30
    begun_ns = load.events("started")[0]["t0_ns"]
    assert rows["intended_ns"].max() < begun_ns + 1.5e9
    assert (load.events("started")[0]["model"], load.events("started")[0]["users"]) == ("closed", 3)


@EACH_ENGINE
def test_a_stream_is_timed_chunk_by_chunk(tmp_path: Path, engine: str) -> None:
    async def paced(_method: str, _path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        document = doubles.answer(body["question"])
        await doubles.stream(writer, [{"sources": []}, *({"delta": "x"},) * 5, {"done": True, **document}, "[DONE]"], gap_s=0.05)

    with Target().running() as target:
        target.routes["POST /api/ask"] = paced
        with loading(tmp_path, target, 1.0, engine=engine, shape=[{"constant": "20/s"}], mix={"ask_stream": 1}) as load:
            load.run()
            rows, gaps = load.rows, load.gaps
    assert (len(rows), set(rows["outcome"]), set(rows["chunks"])) == (20, {Outcome.OK}, {5})
    ttft_ms = (rows["first_ns"] - rows["intended_ns"]) / 1e6
    decode_ms = (rows["last_ns"] - rows["first_ns"]) / 1e6 / 4
    assert 50 <= float(np.median(ttft_ms)) < 2_000
    assert 50 <= float(np.median(decode_ms)) < 1_000
    assert (rows["max_gap_ns"] >= (rows["last_ns"] - rows["first_ns"]) / 4).all()
    gaps_us = gaps["gap_us"].reshape(20, 4)  # each answer has five pieces of content, and keeps its four gaps in order
    assert gaps["seq"].tolist() == np.repeat(np.arange(20), 4).tolist()
    by_seq = rows[np.argsort(rows["seq"])]
    assert np.abs(gaps_us.max(axis=1) - by_seq["max_gap_ns"] // 1000).max() <= 1
    assert np.abs(gaps_us.sum(axis=1) - (by_seq["last_ns"] - by_seq["first_ns"]) // 1000).max() <= 4


@EACH_ENGINE
def test_a_target_that_hangs_holds_every_slot_and_the_rest_is_dropped_for_its_sake(tmp_path: Path, engine: str) -> None:
    with Target().running() as target:
        target.routes["POST /api/ask"] = hang
        with loading(tmp_path, target, 1.0, engine=engine, shape=[{"constant": "60/s"}], timeout="1.5s", max_in_flight=10) as load:
            load.run()
            rows = load.rows
    (finished,) = load.events("finished")
    assert (finished["arrivals"], finished["sent"], finished["dropped_by_target"], finished["dropped_by_generator"]) == (60, 10, 50, 0)
    dropped, timed_out = rows[rows["outcome"] == Outcome.DROPPED], rows[rows["outcome"] == Outcome.TIMEOUT]
    assert (len(dropped), set(dropped["drop_cause"]), set(dropped["start_ns"])) == (50, {0}, {0})
    durations_s = (timed_out["end_ns"] - timed_out["start_ns"]) / 1e9
    assert len(timed_out) == 10 and (durations_s >= 1.5).all() and (durations_s < 10).all()


@EACH_ENGINE
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
        with loading(tmp_path, target, 1.0, engine=engine, shape=[{"constant": "60/s"}], mix=mix) as load:
            load.run()
            rows = load.rows
    assert {(int(r["journey"]), int(r["outcome"]), int(r["status"])) for r in rows} == {
        (0, Outcome.TRUNCATED, 200),
        (1, Outcome.TRUNCATED, 200),
        (2, Outcome.REJECTED, 429),
        (3, Outcome.ERROR, 0),
    }


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


def test_this_process_never_imported_locust() -> None:
    assert not {"locust", "gevent"} & set(sys.modules)
