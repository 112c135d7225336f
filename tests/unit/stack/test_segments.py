"""Shared memory of processes that were killed is released; that of the living is not touched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

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


@pytest.fixture
def maker() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process and the segment that it made and uses."""
    with subprocess.Popen([sys.executable, "-c", MAKER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.kill()
    segments.release({process.pid})


def test_what_a_killed_process_leaves_is_released(maker: tuple[subprocess.Popen[str], int]) -> None:
    process, segment = maker
    process.kill()
    process.wait()
    assert segments.orphaned({process.pid}) == [segment]
    segments.release({process.pid})
    assert segments.orphaned({process.pid}) == []


def test_ending_a_process_releases_it(maker: tuple[subprocess.Popen[str], int]) -> None:
    process, _ = maker
    found = identify(process.pid)
    assert found is not None
    assert end_processes([found]) == []
    assert segments.orphaned({process.pid}) == []


def test_what_is_in_use_stays(maker: tuple[subprocess.Popen[str], int]) -> None:
    process, _ = maker
    assert segments.orphaned({process.pid}) == []
    segments.release({process.pid})
    process.kill()
    process.wait()
    assert len(segments.orphaned({process.pid})) == 1, "it was still there"
