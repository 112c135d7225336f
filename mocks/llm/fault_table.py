"""The faults in force: put, counted, expired, applied."""

import hashlib
import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from mocks.llm.fault_types import FAULT_TYPES, Fault, Plan

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class FaultError(ValueError):
    """A fault cannot be put in force as asked; the text says why."""


@dataclass
class _Entry:
    document: dict[str, Any]
    fault: Fault
    probability: float
    expires_s: float
    matched: int = 0
    applied: int = 0


class FaultTable:
    """Faults by id, in the order in which they were put; `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def put(self, fault_id: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Put a fault in force, in the place of the one with this id if there is one; returns its view. Raises FaultError."""
        if not _ID.fullmatch(fault_id):
            raise FaultError(f"an id has 1 to 64 letters, digits, dots, dashes and underscores, unlike {fault_id!r}")
        parameters = dict(document)
        kind = FAULT_TYPES.get(str(parameters.pop("type", None)))
        if kind is None:
            raise FaultError(f"type must be one of {', '.join(sorted(FAULT_TYPES))}")
        probability = _number(parameters.pop("probability", 1.0), "probability")
        if not 0 <= probability <= 1:
            raise FaultError(f"probability must be from 0 to 1, not {probability:g}")
        ttl_s = parameters.pop("ttl_s", None)
        if ttl_s is not None and _number(ttl_s, "ttl_s") <= 0:
            raise FaultError(f"ttl_s must be more than 0, not {ttl_s}")
        expires_s = math.inf if ttl_s is None else self._clock() + float(ttl_s)
        self._entries[fault_id] = _Entry(dict(document), _construct(kind, parameters), probability, expires_s)
        return self._view(fault_id)

    def remove(self, fault_id: str) -> None:
        """End a fault, if it is in force."""
        self._entries.pop(fault_id, None)

    def clear(self) -> None:
        """End all faults."""
        self._entries.clear()

    def views(self) -> list[dict[str, Any]]:
        """The faults in force as they were put, each with `id`, `expires_in_s` (None: never), `matched` and `applied`."""
        self._expire()
        return [self._view(fault_id) for fault_id in self._entries]

    def apply(self, plan: Plan, route: str, request_key: str) -> list[str]:
        """Let the faults in force change `plan`, the first error ending it; the ids of those that did.

        Whether a fault with a probability takes a request depends on the request's key alone, not on what came before.
        """
        if not self._entries:
            return []
        self._expire()
        now_s = self._clock()
        applied: list[str] = []
        for fault_id, entry in self._entries.items():
            if route not in entry.fault.routes:
                continue
            entry.matched += 1
            if _share(request_key, fault_id) < entry.probability and entry.fault.apply(plan, now_s):
                entry.applied += 1
                applied.append(fault_id)
            if plan.error is not None:
                break
        return applied

    def _expire(self) -> None:
        now_s = self._clock()
        self._entries = {fault_id: entry for fault_id, entry in self._entries.items() if entry.expires_s > now_s}

    def _view(self, fault_id: str) -> dict[str, Any]:
        entry = self._entries[fault_id]
        left_s = None if entry.expires_s == math.inf else max(0.0, entry.expires_s - self._clock())
        return {**entry.document, "id": fault_id, "expires_in_s": left_s, "matched": entry.matched, "applied": entry.applied}


def _construct(kind: type[Fault], parameters: dict[str, Any]) -> Fault:
    """The fault from its JSON parameters, checked against the class's own annotations."""
    wanted = inspect.signature(kind).parameters
    hints = get_type_hints(kind)
    unknown = sorted(set(parameters) - set(wanted))
    if unknown:
        raise FaultError(f"unknown parameter {', '.join(unknown)}; this type has {', '.join(wanted)}")
    missing = [name for name, one in wanted.items() if one.default is one.empty and name not in parameters]
    if missing:
        raise FaultError(f"{', '.join(missing)} must be given")
    values = {name: _number(value, name) if hints[name] is float else value for name, value in parameters.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise FaultError(str(error)) from error


def _number(value: object, name: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise FaultError(f"{name} must be a number, not {value!r}")
    return float(value)


def _share(request_key: str, fault_id: str) -> float:
    """A number in [0, 1) that is uniform over requests and fixed for this one."""
    digest = hashlib.blake2b(f"{request_key}:{fault_id}".encode(), digest_size=7).digest()
    return int.from_bytes(digest) / 2**56
