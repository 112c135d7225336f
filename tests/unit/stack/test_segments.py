"""Shared memory of processes that were killed is released; that of the living is not touched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from harness import segments
from harness.sweep import end_processes, identify

# Makes one segment, attaches it, and waits.
MAKER = """
import ctypes, time
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(0, 4096, 0o1600)
assert segment >= 0
assert libc.shmat(segment, None, 0) not in (None, ctypes.c_void_p(-1).value)
print(segment, flush=True)
while True:
    time.sleep(1)
"""


Maker = tuple[subprocess.Popen[str], tuple[int, float], int]


@pytest.fixture
def maker() -> Iterator[Maker]:
    """A process, what makes it unmistakable, and the segment that it made and uses."""
    with subprocess.Popen([sys.executable, "-c", MAKER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        identity = (process.pid, psutil.Process(process.pid).create_time())
        yield process, identity, int(process.stdout.readline())
        process.kill()
    segments.release([identity])


def test_what_a_killed_process_leaves_is_released(maker: Maker) -> None:
    process, identity, segment = maker
    process.kill()
    process.wait()
    assert segments.orphaned([identity]) == [segment]
    segments.release([identity])
    assert segments.orphaned([identity]) == []


def test_ending_a_process_releases_it(maker: Maker) -> None:
    process, identity, _ = maker
    found = identify(process.pid)
    assert found is not None
    assert end_processes([found]) == []
    assert segments.orphaned([identity]) == []


def test_what_is_in_use_stays(maker: Maker) -> None:
    process, identity, _ = maker
    assert segments.orphaned([identity]) == []
    segments.release([identity])
    process.kill()
    process.wait()
    assert len(segments.orphaned([identity])) == 1, "it was still there"


def test_one_that_is_older_than_the_process_was_made_by_another_with_its_pid(maker: Maker) -> None:
    process, (pid, created_s), segment = maker
    process.kill()
    process.wait()
    later = [(pid, created_s + 60.0)]
    assert segments.orphaned(later) == []
    segments.release(later)
    assert segments.orphaned([(pid, created_s)]) == [segment]
