"""Service discovery of the embedded stack: the file that services re-read when it changes (docs/reference-stack.md)."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.stack.base import StackError

NOTICE_S = 0.6
"""After this every service has read a change: they look twice a second."""

_DEFAULT_SETTINGS: Mapping[str, Any] = {"llm_provider": "llm", "cache_epoch": 0, "pool_epoch": 0, "shed_ratio": 0.0}


class RegistryFile:
    """The registry's content, and the files that carry it: one for all, and one for each caller that is sent another way.

    The one for all lies in a folder of its own: whoever watches the stack is given its path, and may look around there.
    Safe for several threads. A change is on disk when the method returns.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._services: dict[str, dict[str, str]] = {}
        self._settings: dict[str, Any] = dict(_DEFAULT_SETTINGS)
        self._detours: dict[str, dict[str, str]] = {}
        self._revision = 0

    @property
    def path(self) -> Path:
        return self._folder / "discovery" / "registry.json"

    def path_for(self, caller: str) -> Path:
        """The file that this service reads."""
        return self._folder / f"registry-{caller}.json" if caller in self._detours else self.path

    def put(self, service: str, instance: str, url: str) -> None:
        """List an instance, or move it to another address."""
        with self._lock:
            listed = self._services.setdefault(service, {})
            if listed.get(instance) != url:
                listed[instance] = url
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

    def _write(self) -> None:
        self._revision += 1
        self._replace(self.path, {})
        for caller, detours in self._detours.items():
            self._replace(self.path_for(caller), detours)

    def _replace(self, path: Path, detours: Mapping[str, str]) -> None:
        services = {
            service: [{"name": name, "url": detours.get(service, url), "weight": 1} for name, url in sorted(instances.items(), key=_number)]
            for service, instances in self._services.items()
        }
        document = {"revision": self._revision, "services": services, "settings": self._settings}
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(document), encoding="utf-8")
        fresh.replace(path)


def _number(listed: tuple[str, str]) -> int:
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
