"""The lease on disk: readable after a cut at any byte, never ambiguous about its owner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.faults.base import Undo
from harness.faults.lease_files import LeaseError, LeaseFiles, outstanding, read_holder, undo_file, watchdog_of, write_watchdog
from harness.sweep import Found, identify

DELETE = Undo("http", {"method": "DELETE", "url": "http://127.0.0.1:1/faults/a", "token": "t"})
RESUME = Undo("continue", {"pid": 42, "create_time_s": 1.5})


def take(tmp_path: Path, run_id: str = "r1") -> LeaseFiles:
    return LeaseFiles.create(run_id, tmp_path / f"gauntlet-{run_id}", tmp_path / "run")


def test_a_lease_names_its_owner(tmp_path: Path) -> None:
    files = take(tmp_path)
    holder = read_holder(tmp_path / "gauntlet-r1")
    assert holder == files.holder
    assert holder is not None and holder.alive
    assert (holder.pid, holder.run_dir) == (os.getpid(), tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["gauntlet-r1"]
    assert (tmp_path / "gauntlet-r1" / "lease").stat().st_mode & 0o777 == 0o700


def test_others_may_pass_through_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        take(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "gauntlet-r1").stat().st_mode & 0o777 == 0o711


def test_without_a_record_there_is_none(tmp_path: Path) -> None:
    LeaseFiles.create("r1", tmp_path / "gauntlet-r1", None)
    holder = read_holder(tmp_path / "gauntlet-r1")
    assert holder is not None and holder.run_dir is None


def test_a_directory_is_taken_once_and_by_its_name(tmp_path: Path) -> None:
    take(tmp_path)
    with pytest.raises(LeaseError, match="not exist yet"):
        take(tmp_path)
    with pytest.raises(LeaseError, match="must be called gauntlet-r2"):
        LeaseFiles.create("r2", tmp_path / "elsewhere", None)


def test_what_is_held_is_outstanding_until_it_is_let_go(tmp_path: Path) -> None:
    files = take(tmp_path)
    work_dir = files.holder.work_dir
    assert outstanding(work_dir) == {}
    files.hold("a", [DELETE])
    files.hold("b", [])
    files.hold("c", [RESUME, DELETE])
    files.let_go("a")
    assert outstanding(work_dir) == {"b": (), "c": (RESUME, DELETE)}
    files.hold("b", [RESUME])  # injected again, after c
    assert list(outstanding(work_dir)) == ["c", "b"]


def test_a_cut_at_any_byte_leaves_the_whole_lines(tmp_path: Path) -> None:
    files = take(tmp_path)
    files.hold("a", [DELETE])
    files.hold("b", [RESUME])
    path = undo_file(files.holder.work_dir)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        found = list(outstanding(files.holder.work_dir))
        assert found == (["a", "b"] if length >= len(whole) - 1 else ["a"] if length >= first - 1 else [])


def test_a_closed_lease_takes_nothing(tmp_path: Path) -> None:
    files = take(tmp_path)
    files.close()
    files.close()
    with pytest.raises(LeaseError, match="closed"):
        files.hold("a", [])


def test_the_owner_is_dead_when_its_process_is(tmp_path: Path) -> None:
    files = take(tmp_path)
    work_dir = files.holder.work_dir
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    found = identify(child.pid)
    assert found is not None
    path = work_dir / "lease" / "lease.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pid": found.pid, "create_time_s": found.create_time_s}))
    write_watchdog(work_dir, found)

    def alive() -> tuple[bool, bool]:
        holder = read_holder(work_dir)
        assert holder is not None
        return holder.alive, watchdog_of(work_dir) == Found(found.pid, found.create_time_s, "watchdog")

    try:
        assert alive() == (True, True)
    finally:
        child.kill()
        child.communicate()
    assert alive() == (False, False)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"run_id": "x"}', "not json"])
def test_what_is_no_lease_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "lease").mkdir()
    (tmp_path / "lease" / "lease.json").write_text(text)
    assert read_holder(tmp_path) is None
    assert read_holder(tmp_path / "nowhere") is None
