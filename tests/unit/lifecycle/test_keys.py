"""The stop key, at a terminal of the test's own."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WAITS = """
import time, sys
from harness.lifecycle.keys import stop_key
try:
    with stop_key():
        print("ready", flush=True)
        time.sleep(float(sys.argv[1]))
    print("nobody", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def typed(keys: bytes, waits_s: float) -> str:
    """What a program in the foreground of a terminal says when these are typed."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover  # another process
        os.chdir(ROOT)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored, and so inherited, where the tests run in a shell's background
        os.execv(sys.executable, [sys.executable, "-c", WAITS, str(waits_s)])
    try:
        said = b""
        while b"\n" not in said:  # the whole line: a key that comes between the word and its end cuts it off
            said += os.read(terminal, 1024)
        os.write(terminal, keys)
        while b"interrupted" not in said and b"nobody" not in said:
            said += os.read(terminal, 1024)
        return said.decode().split()[-1]
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


@pytest.mark.parametrize(("keys", "waits_s", "said"), [(b"s", 30.0, "interrupted"), (b"xs", 30.0, "interrupted"), (b"x", 0.3, "nobody")])
def test_the_key_interrupts_and_no_other_does(keys: bytes, waits_s: float, said: str) -> None:
    assert typed(keys, waits_s) == said


def test_without_a_terminal_there_is_no_key() -> None:
    done = subprocess.run([sys.executable, "-c", WAITS, "0.1"], cwd=ROOT, input=b"s", capture_output=True, check=True, timeout=60)
    assert done.stdout.split() == [b"ready", b"nobody"]
