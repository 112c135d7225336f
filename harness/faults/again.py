"""Something that a fault does again and again beside the harness's other work, until it is healed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from harness.faults.base import FaultError

JOIN_S = 20.0
"""An actuation that has begun is waited for: a restart may take half of that."""


class Again:
    """Calls `action` until it is ended. It returns the seconds until the next call, and raises nothing."""

    def __init__(self, what: str, action: Callable[[], float]) -> None:
        self._what = what
        self._action = action
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)  # the harness's end is its end
        self._thread.start()

    @property
    def ended(self) -> bool:
        """It was told to end."""
        return self._ended.is_set()

    def end(self) -> None:
        """And wait until it has; idempotent. Raises FaultError when it does not."""
        self._ended.set()
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            raise FaultError(f"{self._what} has not ended after {JOIN_S:g} s")

    def _run(self) -> None:
        while not self._ended.is_set():
            self._ended.wait(self._action())
