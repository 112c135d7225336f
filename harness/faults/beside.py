"""A module of ours in a process beside the harness, which ends with it: for faults that go on by themselves, and hold much.

The process reads one line of JSON, what it is to do, and goes on until its standard input ends: when the harness ends it, or is gone. It
carries a name among its arguments, so that the lease can end it, too. What it says are lines of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import harness
from harness.faults.base import FaultError

ENDS_WITHIN_S = 5.0


class Beside:
    """One such process. `order` is what it is told, on its standard input: secrets are no arguments."""

    def __init__(self, module: str, name: str, order: Mapping[str, Any]) -> None:
        package = str(Path(harness.__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, self.argument(name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it says what there is to say on its standard output
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C at the terminal is for the harness, which then ends it in order
        )
        self._said: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._listen, name=f"beside {name}", daemon=True)
        self._reader.start()
        assert self._process.stdin is not None, "asked for above"
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise FaultError(f"{module} ended at once") from error

    @staticmethod
    def argument(name: str) -> str:
        """By which it is known among all processes of the machine."""
        return f"--name={name}"

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def said(self, key: str) -> Any:
        """The latest value that it has said; None before that."""
        return self._said.get(key)

    def end(self) -> None:
        """End it, and wait until it has; idempotent."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None, "asked for above"
        with self._process.stdout as lines:
            for line in lines:
                self._said |= json.loads(line)


def order() -> dict[str, Any]:
    """In that process: what it is to do."""
    told: dict[str, Any] = json.loads(sys.stdin.readline())
    return told


def say(**facts: Any) -> None:
    """In that process: tell the harness."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


class Ending:
    """In that process: when it is to end, because the harness says so or is gone, or after `ttl_s` at the latest."""

    def __init__(self, ttl_s: float) -> None:
        self._event = threading.Event()
        threading.Thread(target=self._listen, name="end", daemon=True).start()
        timer = threading.Timer(ttl_s, self._event.set)
        timer.daemon = True
        timer.start()

    def wait(self, at_most_s: float) -> bool:
        """True when it is to end, at once then; False after that time."""
        return self._event.wait(at_most_s)

    def _listen(self) -> None:
        sys.stdin.read()
        self._event.set()
