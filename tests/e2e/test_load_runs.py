"""Loads of every kind in whole runs: what they are called in every report, and what a load that fell short is worth."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.record import events as ev
from harness.record.events import Event
from tests.e2e.conftest import machine_was_unsteady
from tests.e2e.live_run import LiveRun, gauntlet
from tests.e2e.test_run import answering

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LOCUSTFILE = """
from locust import FastHttpUser, constant, task


class Caller(FastHttpUser):
    wait_time = constant(0.2)

    @task
    def home(self):
        self.client.get("/")
"""
LOADS = {
    "asyncio": "shape: [{sweep: {from: 5/s, to: 40/s, steps: 3}}], engine: asyncio",
    "closed": "closed: {users: 4, think_time: 200ms}",
    "locustfile": "locustfile: FILE, closed: {users: 4}",
    "worker-lost": "shape: [{constant: 20/s}], workers: 2",
}
READY_S = 100.0  # a generous deadline: the machine may be busy


def scenario(name: str, url: str, load: str) -> str:
    return f"""
name: {name}
stack: {{use: external, services: {{gateway: {{url: "{url}", health: "{url}"}}}}}}
phases: {{warmup: 1s, steady_state: 6s}}
load: {{journeys: {{home: {{get: "/"}}}}, mix: {{home: 1}}, timeout: 2s, {load}}}
objectives: {{steady_state: {{availability: ">= 50%"}}}}
operator: {{enabled: false}}
"""


def loaded(events: list[Event]) -> bool:
    """Have both workers been at it for a while?"""
    told = [e.data for e in events if e.kind == ev.LOAD and e.data.get("state") == "health"]
    return {data.get("worker") for data in told} == {0, 1}


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, tuple[int, dict[str, Any], Path]]]:
    """Exit code, verdict and record of each, all at the same time: each is little work."""
    live: dict[str, LiveRun] = {}
    with ExitStack() as servers:
        url = servers.enter_context(answering()).url
        try:
            for name, load in LOADS.items():
                tmp = Path(tempfile.mkdtemp(prefix="e2e-"))
                (tmp / "mine.py").write_text(LOCUSTFILE)
                live[name] = LiveRun(scenario(name, url, load.replace("FILE", str(tmp / "mine.py"))), tmp, "--json")
            live["worker-lost"].wait_for(loaded, READY_S)
            family = psutil.Process(live["worker-lost"].process.pid).children(recursive=True)
            next(process for process in family if "--owned-worker" in process.cmdline()).kill()
            finished = {name: run.finish(90) for name, run in live.items()}
            verdicts = {name: json.loads(out) if out else {"log": live[name].log} for name, (_, out) in finished.items()}
            yield {name: (code, verdicts[name], live[name].record) for name, (code, _) in finished.items()}
        finally:
            for run in live.values():
                run.end()
                shutil.rmtree(run.tmp, ignore_errors=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("asyncio", "open model on asyncio: arrivals came whatever the answers did"),
        ("closed", "closed model on Locust (4 users, think time 0.2s): a slow service was asked less"),
        ("locustfile", "closed model on Locust (4 users): a slow service was asked less"),
    ],
)
def test_every_report_says_what_kind_of_load_it_was(runs: dict[str, tuple[int, dict[str, Any], Path]], name: str, said: str) -> None:
    code, verdict, record = runs[name]
    assert (code, verdict.get("verdict")) == (0, "PASS") or machine_was_unsteady(json.dumps(verdict)), verdict
    assert said in (record / "report.html").read_text(encoding="utf-8")
    assert f"load: {said}" in gauntlet("show", record, tmp=record.parents[2]).stdout
    words = said.split(":")[0]
    assert (verdict["load"]["model"], verdict["load"]["engine"]) == (words.split()[0], "asyncio" if "asyncio" in words else "locust")
    assert verdict["load"]["sent"] == verdict["load"]["arrivals"] > 0


def test_a_run_that_lost_a_worker_and_fell_short_is_inconclusive(runs: dict[str, tuple[int, dict[str, Any], Path]]) -> None:
    code, verdict, record = runs["worker-lost"]
    assert (code, verdict.get("verdict")) == (3, "INCONCLUSIVE"), verdict
    told = {c["name"]: c["reason"] for c in verdict["checks"] if c["status"] == "INCONCLUSIVE"}
    assert "arrivals of its schedule" in told["validity.load"]
    assert "open model on Locust, 2 workers" in (record / "report.html").read_text(encoding="utf-8")


def test_a_sweep_is_read_from_the_record(runs: dict[str, tuple[int, dict[str, Any], Path]]) -> None:
    _, verdict, _ = runs["asyncio"]
    (sweep,) = verdict["load"]["sweeps"]
    assert [round(step["offered_per_s"]) for step in sweep["steps"]] == [5, 14, 40]
