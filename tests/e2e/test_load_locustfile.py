"""Locustfiles that are not ours, in the load process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.load.driver import LoadError
from harness.record.frames import FrameScan, read_frames
from harness.record.requests import REQUEST, Outcome
from tests.e2e.load_process import START_S, loading
from tests.unit.load import target as doubles
from tests.unit.load.target import Target

pytestmark = pytest.mark.e2e


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
        with loading(tmp_path, target, 2.0, locustfile=str(tmp_path / "mine.py"), closed={"users": 6}) as load:
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
