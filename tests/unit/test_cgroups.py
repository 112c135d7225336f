"""Control groups: found in what the kernel says, in both versions, and really bounding where this user may."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import cgroups
from harness.cgroups import Group, Hierarchy
from harness.faults.cleanup import tear_down
from harness.faults.lease_files import Holder
from harness.record.clock import NS_PER_S, SystemClock
from harness.stack import disks

MINE = pytest.mark.skipif(cgroups.why_not() is not None, reason=f"no control groups for us: {cgroups.why_not()}")


def proc(tmp_path: Path, mounts: list[str], groups: list[str]) -> Path:
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "mountinfo").write_text("".join(f"{line}\n" for line in ["22 1 0:5 / /dev rw - devtmpfs none rw", *mounts]))
    (folder / "cgroup").write_text("".join(f"{line}\n" for line in groups))
    return folder


def version_2(folder: Path, enabled: str = "cpu memory") -> None:
    """What the kernel shows in a group; folders of a test make no files by themselves, so those of the trial are made first."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.subtree_control").write_text(enabled)
    (folder / "cgroup.procs").write_text("")


@pytest.mark.parametrize(
    ("root", "place", "expected"),
    [
        ("/", "/user/one", "user/one"),
        ("/docker/abc", "/docker/abc", ""),  # in a container the mount shows its own group alone
        ("/docker/abc", "/docker/abc/inner", "inner"),
        ("/", "/../elsewhere", ""),  # another namespace's
        ("/", "/gone", ""),
    ],
)
def test_version_1_uses_our_own_group_as_we_see_it(tmp_path: Path, root: str, place: str, expected: str) -> None:
    for controller in ("cpu", "memory"):
        for inner in ("user/one", "inner"):
            (tmp_path / controller / inner).mkdir(parents=True)
    mounts = [f"30 1 0:9 {root} {tmp_path / name} rw - cgroup cgroup rw,{name}" for name in ("cpu", "memory")]
    found = cgroups.find(proc(tmp_path, mounts, [f"1:cpu:{place}", f"2:memory:{place}"]))
    # plain folders take any file: what is left shows that the trial bounded its group there, which plain folders then cannot be rid of
    assert found == Hierarchy(1, {name: tmp_path / name / expected for name in cgroups.CONTROLLERS})


def test_version_2_takes_the_highest_group_that_hands_out_both(tmp_path: Path) -> None:
    top, own = tmp_path / "unified", tmp_path / "unified" / "user" / "session"
    own.mkdir(parents=True)
    version_2(top / "user")
    trial = top / "user" / f"gauntlet-trial-{os.getpid()}"
    version_2(trial)
    mounts = [f"30 1 0:9 / {top} rw - cgroup2 cgroup2 rw"]
    found = cgroups.find(proc(tmp_path, mounts, ["0::/user/session"]))
    assert found == Hierarchy(2, dict.fromkeys(cgroups.CONTROLLERS, top / "user"))
    assert (trial / "trial" / "cpu.max").read_text() == "max 100000"


def test_without_groups_the_reason_is_told(tmp_path: Path) -> None:
    assert (
        cgroups.find(tmp_path) == f"the kernel tells nothing of control groups: [Errno 2] No such file or directory: '{tmp_path}/mountinfo'"
    )
    assert cgroups.find(proc(tmp_path, [], [])) == "the kernel's control groups for processors and memory are not mounted"


def test_version_2_is_bounded_by_its_own_files(tmp_path: Path) -> None:
    group = Group(2, dict.fromkeys(cgroups.CONTROLLERS, tmp_path))
    (tmp_path / "memory.swap.max").touch()
    group.bound_cpus(0.25)
    group.bound_memory(64 << 20)
    files = {name: (tmp_path / name).read_text() for name in ("cpu.max", "memory.max", "memory.swap.max")}
    assert files == {"cpu.max": "25000 100000", "memory.max": str(64 << 20), "memory.swap.max": "0"}


def test_a_user_without_rights_is_told_so(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody without rights")
    script = "import os, sys; os.setgid(65534); os.setuid(65534); from harness import cgroups; print(cgroups.why_not())"
    root = str(Path(cgroups.__file__).parents[1])
    # imported as root, before the rights are dropped: a checkout need not be readable by everybody
    script = script.replace("import os, sys;", "import os, sys; sys.path.insert(0, sys.argv[1]); import harness.cgroups;")
    done = subprocess.run([sys.executable, "-c", script, root], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "Permission denied" in done.stdout or "Read-only" in done.stdout or "not mounted" in done.stdout


@pytest.fixture
def group() -> Iterator[Group]:
    run_id = f"test-{uuid.uuid4().hex[:8]}"
    made = cgroups.hierarchy().group(run_id, "one")
    made.make()
    made.make()  # harmless
    try:
        yield made
    finally:
        assert cgroups.remove_groups(run_id) == []
        assert not any(folder.parent.exists() for folder in made.folders.values())
        assert cgroups.remove_groups(run_id) == []


@MINE
def test_the_groups_of_a_dead_run_are_removed_with_its_processes(tmp_path: Path) -> None:
    run_id = f"test-{uuid.uuid4().hex[:8]}"
    left = cgroups.hierarchy().group(run_id, "one")
    left.make()
    work_dir = tmp_path / f"gauntlet-{run_id}"
    work_dir.mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time\nwhile True: time.sleep(0.05)"], cwd=work_dir) as process:
        for controller in left.folders:
            left.join(process.pid, controller)
        torn_down = tear_down(Holder(run_id, 1, 0.0, work_dir, None), SystemClock())
    assert torn_down.complete and len(torn_down.ended) == 1
    assert not any(folder.parent.exists() for folder in left.folders.values())


def group_of_its_own(name: str) -> list[Path]:
    """A group for a process to be started in, where the kernel has version 1: there a run's groups lie below its own."""
    where = cgroups.hierarchy()
    if where.version != 1:
        pytest.skip("with version 2 a run's groups lie in the highest group, whatever group it is started in")
    return [folder / name for folder in where.folders.values()]


MAKES = """
import os, sys
from pathlib import Path
for folder in sys.argv[2:]:
    Path(folder, "cgroup.procs").write_text(str(os.getpid()))
from harness import cgroups
group = cgroups.hierarchy().group(sys.argv[1], "one")
group.make()
print(*group.folders.values(), sep="\\n")
"""


@MINE
@pytest.mark.parametrize("allowed", [True, False], ids=["where groups can be made", "where none can be made"])
def test_groups_are_found_wherever_the_run_was_started(allowed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By a watchdog or `gauntlet clean` in another group, which need not be permitted to make any."""
    run_id = f"test-{uuid.uuid4().hex[:8]}"
    inside = group_of_its_own(f"inside-{run_id}")
    work_dir = tmp_path / f"gauntlet-{run_id}"
    work_dir.mkdir()
    try:
        for folder in inside:
            folder.mkdir()
        root = str(Path(cgroups.__file__).parents[1])
        made = subprocess.run(
            [sys.executable, "-c", MAKES, run_id, *map(str, inside)], capture_output=True, text=True, check=True, cwd=root
        )
        left = [Path(line) for line in made.stdout.splitlines()]
        assert {folder.parents[1] for folder in left} == set(inside) and all(folder.is_dir() for folder in left)
        assert cgroups.groups_of(run_id) == sorted({folder.parent for folder in left})
        if not allowed:
            monkeypatch.setattr(cgroups, "_found", lambda: "no control groups for us")
        assert tear_down(Holder(run_id, 1, 0.0, work_dir, None), SystemClock()).complete
        assert cgroups.groups_of(run_id) == [] and not any(folder.parent.exists() for folder in left)
    finally:
        cgroups.remove_groups(run_id)
        for folder in inside:
            folder.rmdir()


@MINE
def test_a_slow_disk_is_kept(group: Group, tmp_path: Path) -> None:
    if disks.why_not() is not None:
        pytest.skip(str(disks.why_not()))
    group.bound_disk(disks.device_of(tmp_path), 1 << 20)
    script = (
        "import os, sys\nsys.stdin.read(1)\nwith open(sys.argv[1], 'wb') as file: file.write(bytes(600_000)); file.flush(); os.fsync(file)"
    )
    clock = SystemClock()
    with subprocess.Popen([sys.executable, "-c", script, tmp_path / "file"], stdin=subprocess.PIPE) as writing:
        group.join(writing.pid, cgroups.DISKS)
        start_ns = clock.now_ns()
        writing.communicate(b"!", timeout=100)
    assert writing.returncode == 0 and (clock.now_ns() - start_ns) / NS_PER_S > 0.4
    group.bound_disk(disks.device_of(tmp_path), None)


@MINE
def test_a_quota_is_kept(group: Group) -> None:
    group.bound_cpus(0.1)
    group.join(os.getpid() + (1 << 22), "cpu")  # nobody: harmless
    script = "import os, sys, time\nsys.stdin.read(1)\nwhile time.process_time() < 0.1: pass\nprint(time.monotonic())"
    clock = SystemClock()
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as spinning:
        group.join(spinning.pid, "cpu")
        start_ns = clock.now_ns()
        spinning.communicate(b"!", timeout=100)
    assert (clock.now_ns() - start_ns) / NS_PER_S > 0.3, "a tenth of a second of work, at a tenth of a processor"


@MINE
def test_who_wants_more_memory_than_there_is_is_killed(group: Group) -> None:
    group.bound_memory(48 << 20)
    script = "import sys\nsys.stdin.read(1)\nheld = bytearray(200 << 20)"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as hungry:
        group.join(hungry.pid, "memory")
        hungry.communicate(b"!", timeout=100)
    assert hungry.returncode == -9
