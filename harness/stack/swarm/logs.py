"""The output of tasks, collected in one file an instance, wherever its tasks run."""

from __future__ import annotations

import threading
from pathlib import Path

from harness.stack.containers.api import EngineApi, EngineError


class TaskLogs:
    """A thread for each container, which appends its output until it has ended, or its node has. For one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._followed: set[str] = set()

    def follow(self, instance: str, container: str, api: EngineApi) -> None:
        """Collect the output of a container, from its start; once."""
        if container not in self._followed:
            self._followed.add(container)
            path = self._folder / f"{instance}.log"
            threading.Thread(target=_collect, args=(api, container, path), name=f"log of {instance}", daemon=True).start()


def _collect(api: EngineApi, container: str, path: Path) -> None:
    with path.open("ab", buffering=0) as log:
        try:
            for piece in api.output(f"/containers/{container}/logs", {"follow": True, "stdout": True, "stderr": True}):
                log.write(piece)
        except EngineError:
            return  # gone with its node, or removed before it was looked at
