"""The output of containers, collected in files as long as they exist, over all their starts."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

from harness.stack.compose.instance import ComposedInstance
from harness.stack.containers.api import EngineApi, EngineError

LOOK_S = 0.2


class LogFollower:
    """A thread that appends the output of one container to a file, until it is removed or `stop` is called."""

    def __init__(self, api: EngineApi, instance: ComposedInstance, path: Path) -> None:
        """Start it."""
        self._api = api
        self._instance = instance
        self._path = path
        self._ended = threading.Event()
        threading.Thread(target=self._follow, name=f"log of {instance.name}", daemon=True).start()

    def stop(self) -> None:
        """Whatever comes after this is not collected."""
        self._ended.set()

    def _follow(self) -> None:
        """From start to start: the engine's stream ends with each."""
        followed = ""
        with self._path.open("ab", buffering=0) as log:
            while not self._ended.is_set():
                try:
                    state = self._instance.inspect()["State"]
                    if state["StartedAt"] != followed and state["StartedAt"] > "0002":  # the year 1: it has not been started
                        followed = state["StartedAt"]
                        for piece in self._api.output(f"/containers/{self._instance.id}/logs", _since(followed)):
                            log.write(piece)
                except EngineError as error:
                    if error.status == 404:
                        return
                self._ended.wait(LOOK_S)


def _since(started_at: str) -> dict[str, object]:
    """Of one start; the engine wants its own RFC 3339 time as seconds."""
    return {"follow": True, "stdout": True, "stderr": True, "since": f"{datetime.fromisoformat(started_at).timestamp():.6f}"}
