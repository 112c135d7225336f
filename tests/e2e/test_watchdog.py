"""Whatever becomes of the harness, nothing of its run is left: real processes, really killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.faults.clean import clean_up, leftovers
from harness.record.events import FAULT, WATCHDOG
from harness.record.journal import read_journal
from harness.sweep import identify, processes_of

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

WITHIN_S = 60.0  # beside other tests; that 15 s are enough is shown by test_kill, which has the machine to itself
EVERYTHING = 7  # five processes (one a grandchild, one paused, one deaf to SIGTERM), the directory, the port
ROOT = Path(__file__).parents[2]


@dataclass
class StandIn:
    """A running harness stand-in, and what it said of itself."""

    process: subprocess.Popen[str]
    work_dir: Path
    run_dir: Path
    facts: dict[str, Any] = field(default_factory=dict)

    def say(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))

    def events(self, kind: str) -> list[dict[str, Any]]:
        found = read_journal(self.run_dir / "events-watchdog.jsonl")
        return [dict(event.data) for event in found if event.kind == kind]

    @property
    def left(self) -> list[str]:
        """What still exists of the run."""
        run_id = self.work_dir.name.removeprefix("gauntlet-")
        processes = [f"{found.name} {found.pid}" for found in processes_of(run_id, self.work_dir)]
        return [*processes, *([str(self.work_dir)] if self.work_dir.exists() else []), *(["port"] if self._listens() else [])]

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.facts["port"])) == 0


def start(tmp_path: Path, run_id: str) -> StandIn:
    run_dir = tmp_path / "run"
    run_dir.mkdir(exist_ok=True)
    work_dir = tmp_path / f"gauntlet-{run_id}"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.stand_in", f"--work-dir={work_dir}", f"--run-dir={run_dir}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    one = StandIn(process, work_dir, run_dir)
    one.facts = one.hear()
    wait_for(lambda: len(one.left) == EVERYTHING and psutil.Process(one.facts["paused"]).status() == psutil.STATUS_STOPPED)
    return one


@pytest.fixture
def stand_in(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StandIn]:
    one = start(tmp_path, f"watchdog-{os.getpid()}-{abs(hash(request.node.name)) % 10_000}")
    yield one
    one.process.kill()
    one.process.communicate()
    for pid in [one.facts["watchdog"], *one.facts["pids"]]:  # only where a test failed
        if identify(pid) is not None:
            os.kill(pid, signal.SIGKILL)


def wait_for(what: Callable[[], bool], within_s: float = WITHIN_S) -> float:
    """Seconds until it held."""
    started_s = time.monotonic()
    while not what():
        assert time.monotonic() - started_s < within_s, "not in time"
        time.sleep(0.02)
    return time.monotonic() - started_s


def gone(pid: int) -> bool:
    return identify(pid) is None  # by one look: between two it may be reaped


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_a_killed_harness_leaves_nothing(stand_in: StandIn, number: signal.Signals) -> None:
    stand_in.process.send_signal(number)
    stand_in.process.wait()
    wait_for(lambda: gone(stand_in.facts["watchdog"]))
    assert stand_in.left == []
    states = [event["state"] for event in stand_in.events(WATCHDOG)]
    assert states == ["started", "took_over", "finished"]
    finished = stand_in.events(WATCHDOG)[-1]
    assert (len(finished["ended"]), finished["left"]) == (5, [])
    assert [(event["id"], event["step"]) for event in stand_in.events(FAULT)] == [
        ("dead", "heal_intended"),
        ("frozen", "heal_intended"),
        ("frozen", "healed"),
        ("dead", "healed"),
        ("dead", "gone"),
        ("frozen", "healed"),
        ("frozen", "gone"),
    ]


def test_the_signals_of_a_terminal_do_not_reach_the_watchdog(stand_in: StandIn) -> None:
    watchdog: int = stand_in.facts["watchdog"]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(watchdog, number)
    assert os.getsid(watchdog) == watchdog != os.getsid(stand_in.process.pid)
    os.killpg(stand_in.process.pid, signal.SIGKILL)
    stand_in.process.wait()
    wait_for(lambda: gone(watchdog))
    assert stand_in.left == []


def test_it_works_without_a_record_to_write_to(stand_in: StandIn) -> None:
    (stand_in.run_dir / "events-watchdog.jsonl").unlink()
    stand_in.run_dir.rmdir()
    stand_in.process.kill()
    stand_in.process.wait()
    wait_for(lambda: gone(stand_in.facts["watchdog"]))
    assert stand_in.left == []


def test_a_clean_end_is_checked_for_leaks_and_removes_the_directory(stand_in: StandIn) -> None:
    stand_in.say("release")
    assert stand_in.hear() == {"released": True}
    assert stand_in.process.wait(WITHIN_S) == 0
    assert gone(stand_in.facts["watchdog"])
    assert not stand_in.work_dir.exists()
    finished = stand_in.events(WATCHDOG)[-1]
    assert finished["left"] == []
    assert len(finished["ended"]) == 1  # the grandchild that the stand-in forgot: the leak check names it


def test_a_dead_watchdog_is_noticed_and_clean_does_its_work(stand_in: StandIn) -> None:
    os.kill(stand_in.facts["watchdog"], signal.SIGKILL)
    wait_for(lambda: gone(stand_in.facts["watchdog"]))  # it is no child of ours: the kernel ends it in its own time
    assert [holder.run_id for holder in leftovers(stand_in.work_dir.parent)] == []  # the harness lives
    report = clean_up(stand_in.work_dir.parent)
    assert (report.cleaned, report.live, report.complete) == ((), (stand_in.work_dir.name.removeprefix("gauntlet-"),), True)
    stand_in.process.kill()
    stand_in.process.wait()
    assert len(leftovers(stand_in.work_dir.parent)) == 1
    (cleaned,) = clean_up(stand_in.work_dir.parent).cleaned
    assert cleaned.undone == (f"frozen: continued 1 process(es) from pid {stand_in.facts['paused']}",)
    assert (len(cleaned.ended), cleaned.left) == (5, ())
    assert stand_in.left == []
    again = clean_up(stand_in.work_dir.parent)
    assert (again.cleaned, again.summary) == ((), "nothing left by dead runs")
    assert again.to_json() == {"cleaned": [], "live": [], "complete": True}
