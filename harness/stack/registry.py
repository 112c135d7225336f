"""Service discovery of the embedded stack: the file that services re-read when it changes (docs/reference-stack.md)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.stack.base import StackError

REGISTRY = "registry.json"
NOTICE_S = 0.6
"""After this every service has read a change: they look twice a second."""

Via = Callable[[str], str]
"""Where a caller is sent instead, who would go to that URL. Raises StackError."""

_DEFAULT_SETTINGS: Mapping[str, Any] = {"llm_provider": "llm", "cache_epoch": 0, "pool_epoch": 0, "shed_ratio": 0.0}


@dataclass(frozen=True, slots=True)
class Listed:
    """Where one instance is reached: by whoever watches the stack, and by the other services, from inside."""

    url: str
    inside_url: str


class RegistryFile:
    """The registry's content, and the files that carry it: one for whoever watches the stack, and one for each service that calls others.

    The first lies in a folder of its own: who is given its path may look around there. The others hold the addresses that are reached from
    inside, and what a caller alone is told: the way through a proxy, or something that is not true.
    Safe for several threads. A change is on disk when the method returns.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._services: dict[str, dict[str, Listed]] = {}
        self._settings: dict[str, Any] = dict(_DEFAULT_SETTINGS)
        self._callers: set[str] = set()
        self._detours: dict[tuple[str, str], Via] = {}
        self._lies: dict[tuple[str, str], tuple[str, ...]] = {}
        self._revision = 0

    @property
    def path(self) -> Path:
        return self._folder / "discovery" / REGISTRY

    def path_for(self, caller: str) -> Path:
        """The file that this service reads; there is one from now on."""
        with self._lock:
            if caller not in self._callers:
                self._callers.add(caller)
                self._replace(caller)
        return self._file_of(caller)

    def put(self, service: str, instance: str, url: str, inside_url: str | None = None) -> None:
        """List an instance, or move it to another address; `inside_url` is where services reach it, if not at `url`."""
        entry = Listed(url, inside_url or url)
        with self._lock:
            listed = self._services.setdefault(service, {})
            if listed.get(instance) != entry:
                listed[instance] = entry
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

    def detour(self, caller: str, service: str, via: Via) -> None:
        """From now on `caller` finds every instance of `service`, also those to come, where `via` sends it. Raises StackError."""
        with self._lock:
            self._detours[caller, service] = via
            self._write()

    def lie(self, caller: str, service: str, urls: Sequence[str] | None) -> None:
        """From now on `caller` is told these addresses when it looks `service` up, none of them being no such name; None: the truth."""
        with self._lock:
            before = self._lies.pop((caller, service), None)
            if urls is not None:
                self._lies[caller, service] = tuple(urls)
            if before != self._lies.get((caller, service)):
                self._write()

    def look_up(self, caller: str, service: str) -> list[str]:
        """The addresses that `caller` reads for `service` at this moment. Raises StackError for one that reads nothing."""
        try:
            document = json.loads(self._file_of(caller).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StackError(f"what {caller} reads cannot be read: {error}") from error
        return [str(entry["url"]) for entry in document["services"].get(service, [])]

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

    def _file_of(self, caller: str) -> Path:
        return self._folder / "inside" / f"registry-{caller}.json"

    def _write(self) -> None:
        self._revision += 1
        for caller in (None, *sorted(self._callers)):
            self._replace(caller)

    def _replace(self, caller: str | None) -> None:
        """Write the file of that caller, or the one for whoever watches."""
        services = {
            service: [{"name": name, "url": url, "weight": 1} for name, url in self._addresses(caller, service)]
            for service in self._services
        }
        document = {"revision": self._revision, "services": services, "settings": self._settings}
        path = self.path if caller is None else self._file_of(caller)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(document), encoding="utf-8")
        fresh.chmod(0o644)  # whatever the umask: services may run as another user
        fresh.replace(path)

    def _addresses(self, caller: str | None, service: str) -> list[tuple[str, str]]:
        listed = sorted(self._services[service].items(), key=_number)
        if caller is None:
            return [(name, entry.url) for name, entry in listed]
        if (caller, service) in self._lies:
            return [(name, url) for (name, _), url in zip(listed, self._lies[caller, service], strict=False)]
        via = self._detours.get((caller, service), _straight)
        return [(name, via(entry.inside_url)) for name, entry in listed]


@dataclass(frozen=True, slots=True)
class CallersNames:
    """What `caller` reads of `callee`: `Names`."""

    registry: RegistryFile
    caller: str
    callee: str

    def look_up(self) -> Sequence[str]:
        return self.registry.look_up(self.caller, self.callee)

    def tell(self, urls: Sequence[str] | None) -> None:
        self.registry.lie(self.caller, self.callee, urls)


def _straight(url: str) -> str:
    return url


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
