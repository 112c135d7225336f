"""API keys and plans from `KEYS_FILE`. Keys appear in it only as their SHA-256."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mocks.rag.common.config import ConfigError
from mocks.rag.common.log import get_logger

LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class Plan:
    """Requests allowed to one client on one route; 0 means no limit."""

    burst_per_s: int
    per_minute: int
    per_hour: int

    def as_dict(self) -> dict[str, int]:
        """As on the wire."""
        return asdict(self)


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key; not the key itself."""

    id: str
    client: str
    roles: frozenset[str]
    plan: str


@dataclass(frozen=True)
class _Keys:
    by_hash: Mapping[str, ApiKey]
    by_id: Mapping[str, ApiKey]
    plans: Mapping[str, Plan]


class KeyStore:
    """The content of the file; a replaced file is in force within LOOK_EVERY_S, a broken one leaves the last good content."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._log = get_logger("keys")
        try:
            self._stamp = self._look()
            self._keys = _parse(path.read_bytes())
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"KEYS_FILE {path}: {type(error).__name__}: {error}") from error
        self._looked_s = clock()

    def find_by_token(self, token: str) -> ApiKey | None:
        """The key that `token` is, None when there is none such."""
        return self._current().by_hash.get(hashlib.sha256(token.encode()).hexdigest())

    def find_by_id(self, key_id: str) -> ApiKey | None:
        """The key of that id, None when it was withdrawn or never existed."""
        return self._current().by_id.get(key_id)

    def plan(self, name: str) -> Plan | None:
        """The plan of that name."""
        return self._current().plans.get(name)

    def _current(self) -> _Keys:
        now_s = self._clock()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            self._reload()
        return self._keys

    def _reload(self) -> None:
        try:
            stamp = self._look()
            if stamp != self._stamp:
                self._keys = _parse(self._path.read_bytes())
                self._stamp = stamp
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._log.warning("keys file unreadable, keeping the last good content", error=str(error))

    def _look(self) -> tuple[int, int, int]:
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino


def _parse(raw: bytes) -> _Keys:
    document = json.loads(raw)
    plans = {
        name: Plan(int(plan["burst_per_s"]), int(plan["per_minute"]), int(plan["per_hour"])) for name, plan in document["plans"].items()
    }
    by_hash = {}
    for entry in document["keys"]:
        key = ApiKey(str(entry["id"]), str(entry["client"]), frozenset(entry.get("roles", ())), str(entry["plan"]))
        if key.plan not in plans:
            raise ValueError(f"key {key.id!r} has the unknown plan {key.plan!r}")
        by_hash[str(entry["sha256"]).lower()] = key
    return _Keys(by_hash, {key.id: key for key in by_hash.values()}, plans)
