"""Service discovery of the embedded stack: the file that services re-read when it changes (docs/reference-stack.md)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.stack.base import StackError

REGISTRY = "registry.json"
NOTICE_S = 0.6
"""After this every service has read a change: they look twice a second."""

_DEFAULT_SETTINGS: Mapping[str, Any] = {"llm_provider": "llm", "cache_epoch": 0, "pool_epoch": 0, "shed_ratio": 0.0}


@dataclass(frozen=True, slots=True)
class Listed:
    """Where one instance is reached: by whoever watches the stack, and by the other services, from inside."""

    url: str
    inside_url: str


class RegistryFile:
    """The registry's content, and the files that carry it: one for all, and one for each caller that is sent another way.

    The one for all lies in a folder of its own: whoever watches the stack is given its path, and may look around there. Where services
    reach one another under other addresses than those who watch, they have a file of their own.
    Safe for several threads. A change is on disk when the method returns.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._services: dict[str, dict[str, Listed]] = {}
        self._settings: dict[str, Any] = dict(_DEFAULT_SETTINGS)
        self._detours: dict[str, dict[str, str]] = {}
        self._revision = 0
        self._differs = False  # some instance is reached at another address from inside

    @property
    def path(self) -> Path:
        return self._folder / "discovery" / REGISTRY

    def path_for(self, caller: str) -> Path:
        """The file that this service reads."""
        if caller in self._detours:
            return self._inside / f"registry-{caller}.json"
        return self._inside / REGISTRY if self._differs else self.path

    def put(self, service: str, instance: str, url: str, inside_url: str | None = None) -> None:
        """List an instance, or move it to another address; `inside_url` is where services reach it, if not at `url`."""
        entry = Listed(url, inside_url or url)
        with self._lock:
            listed = self._services.setdefault(service, {})
            if listed.get(instance) != entry:
                listed[instance] = entry
                self._differs |= entry.url != entry.inside_url
                self._write()

    def withdraw(self, service: str, instance: str) -> None:
        """Take an instance out; harmless when it is not listed."""
        with self._lock:
            if self._services.get(service, {}).pop(instance, None) is not None:
                self._write()

    def lists(self, service: str, instance: str) -> bool:
        """Is it in rotation?"""
        with self._lock:
            return instance in self._services.get(service, {})

    def detour(self, caller: str, service: str, url: str) -> None:
        """From now on `caller` finds `service` at `url`; it must be started with `path_for(caller)` afterwards."""
        with self._lock:
            self._detours.setdefault(caller, {})[service] = url
            self._write()

    def configure(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings; returns the previous values of those keys. Raises StackError, and then changes nothing."""
        for name, value in settings.items():
            _check_setting(name, value)
        with self._lock:
            previous = {name: self._settings[name] for name in settings}
            if previous != dict(settings):
                self._settings.update(settings)
                self._write()
            return previous

    def increase(self, epoch: str) -> None:
        """Raise a setting that counts."""
        with self._lock:
            self._settings[epoch] += 1
            self._write()

    @property
    def _inside(self) -> Path:
        return self._folder / "inside"

    def _write(self) -> None:
        self._revision += 1
        self._replace(self.path, lambda _, listed: listed.url)
        if self._differs:
            self._replace(self._inside / REGISTRY, lambda _, listed: listed.inside_url)
        for caller, detours in self._detours.items():
            self._replace(self.path_for(caller), partial(_detoured, detours))

    def _replace(self, path: Path, address: Callable[[str, Listed], str]) -> None:
        services = {
            service: [
                {"name": name, "url": address(service, listed), "weight": 1} for name, listed in sorted(instances.items(), key=_number)
            ]
            for service, instances in self._services.items()
        }
        document = {"revision": self._revision, "services": services, "settings": self._settings}
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(document), encoding="utf-8")
        fresh.chmod(0o644)  # whatever the umask: services may run as another user
        fresh.replace(path)


def _detoured(detours: Mapping[str, str], service: str, listed: Listed) -> str:
    return detours.get(service, listed.inside_url)


def _number(listed: tuple[str, Listed]) -> int:
    return int(listed[0].rpartition("-")[2])


def _check_setting(name: str, value: object) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    match name:
        case "llm_provider":
            valid, wanted = value in ("llm", "llm_fallback"), "llm or llm_fallback"
        case "cache_epoch" | "pool_epoch":
            valid, wanted = whole and value >= 0, "a whole number from 0"  # type: ignore[operator]  # `whole` says that it is one
        case "shed_ratio":
            valid, wanted = (whole or isinstance(value, float)) and 0 <= value <= 1, "a number from 0 to 1"  # type: ignore[operator]  # as above
        case _:
            raise StackError(f"no setting {name!r}; there are {', '.join(_DEFAULT_SETTINGS)}")
    if not valid:
        raise StackError(f"{name} must be {wanted}, not {value!r}")
