"""How a service can be observed: as ever, or not, when the file at `TELEMETRY_FILE` says so.

Observability breaks like anything else, and silence is not health. The file is JSON, `{"metrics": "serve" | "hang" | "stale" | "error",
"logs": "write" | "lose"}`; it is looked at when somebody scrapes, and for log lines at most five times a second. No file, or one that
cannot be read: all is as ever.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOOK_EVERY_S = 0.2
HANG_S = 120.0
"""Longer than anybody waits for a scrape."""


class Observing:
    """What the file says now. `clock` counts seconds."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked_s = -LOOK_EVERY_S
        self._stamp: tuple[int, int] | None = None
        self._says: dict[str, Any] = {}

    @classmethod
    def from_env(cls) -> Observing:
        """By `TELEMETRY_FILE`."""
        path = os.environ.get("TELEMETRY_FILE")
        return cls(Path(path) if path else None)

    def metrics(self) -> str:
        """`serve`, or how a scrape goes wrong."""
        self._look()
        return str(self._says.get("metrics", "serve"))

    def logs_lost(self) -> bool:
        """Whether lines go nowhere."""
        if self._path is None:
            return False
        if self._clock() - self._looked_s >= LOOK_EVERY_S:
            self._look()
        return self._says.get("logs") == "lose"

    def _look(self) -> None:
        self._looked_s = self._clock()
        if self._path is None:
            return
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                found = json.loads(self._path.read_bytes())
                self._says, self._stamp = found if isinstance(found, dict) else {}, stamp
        except (OSError, ValueError):
            self._says, self._stamp = {}, None
