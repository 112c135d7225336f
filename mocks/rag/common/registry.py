"""Service discovery: a JSON file that the deployment replaces atomically.

The file is looked at every POLL_S; one that is missing, unreadable or in any part unusable leaves the last good content in force. An entry
with `every_address` stands for as many replicas as its host has addresses, which are looked up as often.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from mocks.rag.common.addresses import Addresses
from mocks.rag.common.log import get_logger

POLL_S = 0.5

PROVIDERS = ("llm", "llm_fallback")
"""The services that answer as an OpenAI-compatible provider does, the one that the deployment prefers first."""
StrategyName = Literal["round_robin", "least_connections", "weighted"]
"""How calls are spread over the replicas of a service; the setting `balancing` maps services to one of these."""


@dataclass(frozen=True)
class Instance:
    """One replica of a service. `weight` is its share of the calls under weighted balancing; `every_address`: it is all replicas."""

    name: str
    url: str
    weight: float = 1.0
    every_address: bool = False


@dataclass(frozen=True)
class _Content:
    revision: int
    services: dict[str, list[Instance]]
    settings: dict[str, Any]


class Registry:
    """Instances and settings by the last good content of the file; empty without a file. `caller` is the service that looks them up."""

    def __init__(self, path: Path | None, caller: str | None = None, addresses: Addresses | None = None) -> None:
        self.caller = caller
        self._addresses = addresses or Addresses()
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
        await self.look_up()
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
        return [replica for entry in self._content.services.get(service, []) for replica in self._replicas(entry)]

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
            self._log.warning("registry unusable, keeping the last good content", error=f"{type(error).__name__}: {error}")
            return False
        self._stamp = stamp
        if content == self._content:
            return False
        self._content = content
        self._tell()
        return True

    async def look_up(self) -> bool:
        """Ask for the addresses of entries that stand for several replicas; True when these changed."""
        names = [entry.url for entries in self._content.services.values() for entry in entries if entry.every_address]
        changed = bool(names) and await self._addresses.look_up(names)
        if changed:
            self._tell()
        return changed

    def _replicas(self, entry: Instance) -> list[Instance]:
        if not entry.every_address:
            return [entry]
        urls = self._addresses.of(entry.url)
        return [replace(entry, name=f"{entry.name}@{urlsplit(url).hostname}", url=url, every_address=False) for url in urls]

    def _tell(self) -> None:
        for callback in self._callbacks:
            callback()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            self.reload()
            await self.look_up()


def _parse(raw: bytes) -> _Content:
    document = json.loads(raw)
    services = {service: [_instance(one) for one in instances] for service, instances in document["services"].items()}
    for service, instances in services.items():
        if len({one.name for one in instances}) < len(instances):
            raise ValueError(f"two instances of {service} have one name")
    return _Content(int(document.get("revision", 0)), services, _settings(document.get("settings", {})))


def _instance(entry: Mapping[str, Any]) -> Instance:
    url, every_address = str(entry["url"]).rstrip("/"), entry.get("every_address", False) is True
    instance = Instance(str(entry["name"]), url, float(entry.get("weight", 1)), every_address)
    if not 0 < instance.weight < math.inf:
        raise ValueError(f"the weight of {instance.name} must be more than 0")
    return instance


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, of which those that services act upon must be usable."""
    for name in ("cache_epoch", "pool_epoch"):
        if type(settings.get(name, 0)) is not int:
            raise ValueError(f"{name} must be a whole number")
    if not 0 <= settings.get("shed_ratio", 0) <= 1:
        raise ValueError("shed_ratio must be from 0 to 1")
    unknown = set(settings.get("balancing", {}).values()) - set(get_args(StrategyName))
    if unknown:
        raise ValueError(f"balancing must name one of {', '.join(get_args(StrategyName))}, unlike {unknown}")
    return dict(settings)
