"""A frozen control group is read from the files of either version."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.faults.freezer import frozen

PID = 7


def machine(folder: Path, entry: str, file: str, content: str) -> tuple[Path, Path]:
    """(/sys/fs/cgroup, /proc) with one process in one group."""
    (folder / "proc" / str(PID)).mkdir(parents=True)
    (folder / "proc" / str(PID) / "cgroup").write_text(f"9:memory:/elsewhere\n{entry}\n")
    state = folder / "groups" / file
    state.parent.mkdir(parents=True)
    state.write_text(content)
    return folder / "groups", folder / "proc"


@pytest.mark.parametrize(
    ("entry", "file", "content", "expected"),
    [
        ("4:freezer:/docker/ab", "freezer/docker/ab/freezer.state", "FROZEN\n", True),
        ("4:freezer:/docker/ab", "freezer/docker/ab/freezer.state", "FREEZING\n", False),
        ("4:freezer:/docker/ab", "freezer/docker/ab/freezer.state", "THAWED\n", False),
        ("4:freezer:/docker/ab", "freezer/docker/other/freezer.state", "FROZEN\n", False),
        ("0::/system.slice/docker-ab.scope", "system.slice/docker-ab.scope/cgroup.events", "populated 1\nfrozen 1\n", True),
        ("0::/system.slice/docker-ab.scope", "system.slice/docker-ab.scope/cgroup.events", "populated 1\nfrozen 0\n", False),
    ],
)
def test_by_the_state_of_its_group(tmp_path: Path, entry: str, file: str, content: str, expected: bool) -> None:
    assert frozen(PID, *machine(tmp_path, entry, file, content)) is expected


def test_a_process_that_is_gone_is_not_frozen(tmp_path: Path) -> None:
    assert not frozen(PID, tmp_path, tmp_path)
