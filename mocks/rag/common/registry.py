"""Service discovery: a JSON file that the deployment replaces atomically.

The file is looked at every POLL_S; a missing or unreadable one leaves the last good content in force.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mocks.rag.common.log import get_logger

POLL_S = 0.5


@dataclass(frozen=True)
class Instance:
    """One replica of a service. `weight` is its share of the calls under weighted balancing."""

    name: str
    url: str
    weight: float = 1.0


@dataclass(frozen=True)
class _Content:
    revision: int
    services: dict[str, list[Instance]]
    settings: dict[str, Any]


class Registry:
    """Instances and settings by the last good content of the file; empty without a file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._content = _Content(0, {}, {})
        self._callbacks: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._log = get_logger("registry")
        self.reload()

    async def start(self) -> None:
        """Follow the file until `stop`."""
        self.reload()
        self._task = asyncio.create_task(self._poll(), name="registry")

    async def stop(self) -> None:
        """Follow it no longer."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def instances(self, service: str) -> list[Instance]:
        """The replicas of `service`, in the file's order; empty when it is not listed."""
        return self._content.services.get(service, [])

    def setting(self, name: str, default: Any) -> Any:
        """A value under `settings`."""
        return self._content.settings.get(name, default)

    @property
    def revision(self) -> int:
        """The file's revision number, 0 before one was read."""
        return self._content.revision

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each change of content."""
        self._callbacks.append(callback)

    def reload(self) -> bool:
        """Read the file if it was replaced since the last look; True when the content changed."""
        if self._path is None:
            return False
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                return False
            content = _parse(self._path.read_bytes())
        except FileNotFoundError:
            return False
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._log.warning("registry unreadable, keeping the last good content", error=str(error))
            return False
        self._stamp = stamp
        if content == self._content:
            return False
        self._content = content
        for callback in self._callbacks:
            callback()
        return True

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            self.reload()


def _parse(raw: bytes) -> _Content:
    document = json.loads(raw)
    services = {
        service: [Instance(str(one["name"]), str(one["url"]).rstrip("/"), float(one.get("weight", 1))) for one in instances]
        for service, instances in document["services"].items()
    }
    return _Content(int(document.get("revision", 0)), services, dict(document.get("settings", {})))
