"""Runs `gauntlet run --json` as a process of its own, and hands an interruption on to it instead of killing it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from harness.record.clock import NS_PER_S, SystemClock

ROOT = Path(__file__).resolve().parents[2]
INTERRUPTED = 130  # exit code of the program


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has come to its end."""

    exit_code: int
    wall_s: float
    document: Mapping[str, Any]  # empty where the program printed none
    stderr: str


def run_scenario(file: Path, seed: int, out: Path, stack: str | None = None) -> Ended:
    """Run one scenario to its end. Raises KeyboardInterrupt, after the run has put everything back, when it was interrupted."""
    command = [sys.executable, "-m", "harness.cli", "run", str(file), "--seed", str(seed), "--json", "--out", str(out)]
    command += ["--stack", stack] if stack else []
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    clock = SystemClock()
    start_ns = clock.now_ns()
    # A session of its own: Ctrl-C then reaches it once, from us, and not a second time from the terminal.
    with (
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        ) as process,
        _handed_on(process) as interrupted,
    ):
        stdout, stderr = process.communicate()
    wall_s = (clock.now_ns() - start_ns) / NS_PER_S
    if interrupted or process.returncode == INTERRUPTED:
        raise KeyboardInterrupt
    return Ended(process.returncode, wall_s, _document(stdout), stderr)


@contextmanager
def _handed_on(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """Signals that ended us are sent to the process, which heals and stops its stack; yields those that came."""
    came: list[int] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        process.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _document(stdout: str) -> Mapping[str, Any]:
    try:
        found = json.loads(stdout)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
