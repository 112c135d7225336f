"""The watchdog in this process: what it does when it hears nothing, and whom `clean` leaves alone."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from harness.faults.base import Undo
from harness.faults.clean import clean_up, leftovers
from harness.faults.lease import Lease
from harness.faults.lease_files import LeaseFiles
from harness.faults.watchdog import BEAT, FINISH, Notes, Watchdog
from harness.record.clock import SystemClock
from harness.record.journal import read_journal
from harness.testing.clock import FakeClock

NOBODY = Undo("http", {"method": "DELETE", "url": "http://127.0.0.1:1/faults/slow", "token": "t"})


def steps(run_dir: Path) -> list[tuple[str, str]]:
    events = list(read_journal(run_dir / "events-watchdog.jsonl"))
    return [(str(event.data.get("id", event.kind)), str(event.data.get("step", event.data.get("state")))) for event in events]


def until(condition: Callable[[], bool]) -> None:
    clock = SystemClock()
    deadline_ns = clock.now_ns() + 60_000_000_000
    while not condition():
        assert clock.now_ns() < deadline_ns
        clock.sleep(0.01)


def test_a_harness_that_hangs_loses_its_faults_once_and_keeps_its_stack(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    files = LeaseFiles.create("hang", tmp_path / "gauntlet-hang", run_dir)
    clock = SystemClock()
    read_end, write_end = os.pipe()
    watchdog = Watchdog(files.holder, clock, Notes(run_dir, clock), ttl_s=0.1)
    thread = threading.Thread(target=watchdog.watch, args=(read_end,))
    thread.start()
    try:
        until(lambda: bool(steps(run_dir)))
        clock.sleep(0.3)  # hanging with nothing injected is nobody's business
        os.write(write_end, BEAT)
        assert steps(run_dir) == [("watchdog", "started")]
        files.hold("slow", [NOBODY])
        taken = [("watchdog", "started"), ("watchdog", "took_over"), ("slow", "heal_intended"), ("slow", "healed")]
        until(lambda: len(steps(run_dir)) >= len(taken))
        clock.sleep(0.3)
        assert steps(run_dir) == taken
        assert files.holder.work_dir.exists()
        os.write(write_end, FINISH)
        thread.join(60)
        assert steps(run_dir) == [*taken, ("watchdog", "finished")]
        assert not files.holder.work_dir.exists()
    finally:
        os.close(write_end)
        thread.join(60)
        os.close(read_end)


def test_it_waits_for_a_silent_harness_and_does_not_spin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def nobody_speaks(readable: list[int], _w: list[int], _x: list[int], timeout_s: float) -> tuple[list[int], list[int], list[int]]:
        clock.sleep(timeout_s)
        looks.append(timeout_s)
        return (readable if len(looks) == 5 else [], [], [])

    clock = FakeClock()
    files = LeaseFiles.create("silent", tmp_path / "gauntlet-silent", None)
    read_end, write_end = os.pipe()
    monkeypatch.setattr(select, "select", nobody_speaks)
    try:
        os.write(write_end, FINISH)
        Watchdog(files.holder, clock, Notes(None, clock), ttl_s=10.0).watch(read_end)
    finally:
        os.close(write_end)
        os.close(read_end)
    assert looks == [10.0] * 5


@pytest.mark.parametrize("signalled", [False, True], ids=["by the harness", "by a signal"])
def test_it_takes_back_at_once_when_asked_to(tmp_path: Path, signalled: bool) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    lease = Lease.take("asked", tmp_path / "gauntlet-asked", run_dir, SystemClock())
    try:
        ask = partial(os.kill, lease.watchdog_pid, signal.SIGUSR1) if signalled else lease.take_back
        ask()  # nothing to take back: nothing happens
        lease.hold("slow", [NOBODY])
        ask()
        until(lambda: ("slow", "healed") in steps(run_dir))
        lease.beat()
    finally:
        assert lease.release()
    assert steps(run_dir)[:4] == [("watchdog", "started"), ("watchdog", "took_back"), ("slow", "heal_intended"), ("slow", "healed")]
    assert steps(run_dir)[-1] == ("watchdog", "finished")


def test_a_lease_is_taken_beaten_and_released(tmp_path: Path) -> None:
    lease = Lease.take("live", tmp_path / "gauntlet-live", None, SystemClock())
    try:
        assert lease.alive()
        assert leftovers(tmp_path) == []
        assert clean_up(tmp_path).live == ("live",)
        lease.beat()
        lease.beat()
    finally:
        assert lease.release()
    assert lease.release()
    assert not lease.alive()
    assert list(tmp_path.iterdir()) == []


def test_clean_follows_no_instructions_that_were_moved_or_forged(tmp_path: Path) -> None:
    files = LeaseFiles.create("mine", tmp_path / "gauntlet-mine", None)
    files.close()
    (tmp_path / "gauntlet-link").symlink_to(files.holder.work_dir)
    files.holder.work_dir.rename(tmp_path / "gauntlet-moved")
    (tmp_path / "gauntlet-other").mkdir()
    report = clean_up(tmp_path)
    assert (report.cleaned, report.live) == ((), ())
    assert {path.name for path in tmp_path.iterdir()} == {"gauntlet-link", "gauntlet-moved", "gauntlet-other"}


def test_clean_removes_what_a_maker_left_that_died_in_between(tmp_path: Path) -> None:
    (tmp_path / ".gauntlet-dead.999999999").mkdir()
    (tmp_path / f".gauntlet-busy.{os.getpid()}").mkdir()
    clean_up(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f".gauntlet-busy.{os.getpid()}"}
