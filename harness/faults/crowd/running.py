"""The clients as whoever sends them sees them: a child process, what it is told, and what it tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

END_S = 5.0


class Running:
    """The clients: a child process that ends with us, and its latest tally."""

    def __init__(self, name: str, told: Mapping[str, Any]) -> None:
        argv = [sys.executable, "-m", "harness.faults.crowd", name]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert self._process.stdin is not None, "started with a pipe"
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        self._process.stdin.flush()
        self._latest: Mapping[str, int] = {}
        self._reader = threading.Thread(target=self._read, name=f"crowd {name}", daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def tally(self) -> Mapping[str, int]:
        """The latest; empty before the first."""
        return self._latest

    def end(self) -> None:
        """Hang up, and wait; kill it where that does not help. Idempotent."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None, "started with a pipe"
        for line in self._process.stdout:
            with suppress(ValueError):
                self._latest = json.loads(line)
