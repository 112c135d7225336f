"""The faults in force: put, counted, expired, applied."""

import hashlib
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from random import Random
from typing import Any, Generic, Protocol, TypeVar

from mocks.faults.base import Fault, Registry
from mocks.faults.documents import FaultError, construct, fields_of, number
from mocks.faults.match import Match
from mocks.faults.shapes import SHAPES, Schedule

__all__ = ["FaultError", "FaultTable"]

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Facts(Protocol):
    """What the table itself needs to know of a call; `match` reads more, as the registry's criteria say."""

    @property
    def key(self) -> str:
        """Identifies the request: equal requests have equal keys in every process."""

    @property
    def attempt(self) -> int:
        """Which arrival of the key it is, from 1."""


class Decidable(Protocol):
    """A plan."""

    @property
    def decided(self) -> bool:
        """Whether no answer of the service will be given: what further faults would change is gone."""


PlanT = TypeVar("PlanT", bound=Decidable)


@dataclass
class _Entry(Generic[PlanT]):
    document: dict[str, Any]
    fault: Fault[PlanT]
    concerns: Callable[[PlanT], bool]
    match: Match
    schedule: Schedule
    standing: bool
    of_pace: bool
    put_s: float
    expires_s: float
    matched: int = 0
    applied: int = 0

    def next_edge_s(self, now_s: float) -> float:
        """The next moment at which it may begin or cease to stand."""
        return min(self.expires_s, self.put_s + self.schedule.next_edge_s(now_s - self.put_s))


class FaultTable(Generic[PlanT]):
    """Faults by id, in the order in which they were put; `clock` gives monotonic seconds. Not for several threads."""

    def __init__(self, registry: Registry, clock: Callable[[], float], seed: int) -> None:
        self._registry = registry
        self._clock = clock
        self._seed = seed
        self._entries: dict[str, _Entry[PlanT]] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._next_expiry_s = math.inf

    def __len__(self) -> int:
        """How many faults are in force, or were when the table was asked last."""
        return len(self._entries)

    def put(self, fault_id: str, document: Mapping[str, Any], age_s: float = 0.0) -> dict[str, Any]:
        """Put a fault in force, in the place of the one with this id if there is one; returns its view. Raises FaultError.

        With `age_s` it has been in force for that long already: what a process does that goes on where another has ended.
        """
        if not _ID.fullmatch(fault_id):
            raise FaultError(f"an id has 1 to 64 letters, digits, dots, dashes and underscores, unlike {fault_id!r}")
        self._entries[fault_id] = self._entry(document, self._clock() - age_s)
        self._changed()
        return self._view(fault_id)

    def remove(self, fault_id: str) -> None:
        """End a fault, if it is in force."""
        if self._entries.pop(fault_id, None) is not None:
            self._changed()

    def clear(self) -> None:
        """End all faults."""
        if self._entries:
            self._entries.clear()
            self._changed()

    def views(self) -> list[dict[str, Any]]:
        """The faults in force as they were put, each with `id`, `expires_in_s` (None: never), `matched` and `applied`."""
        self._expire(self._clock())
        return [self._view(fault_id) for fault_id in self._entries]

    def in_force(self) -> list[tuple[str, Mapping[str, Any], float]]:
        """The faults in force: id, document, and the seconds for which they have been."""
        now_s = self._clock()
        return [(fault_id, entry.document, now_s - entry.put_s) for fault_id, entry in self._entries.items()]

    def apply(self, plan: PlanT, facts: Facts) -> list[str]:
        """Let the faults in force change `plan`, until one decides it; the ids of those that did, and are felt.

        What a fault draws for a call depends on the seed, the call's key and attempt and the fault's id, not on what came before.
        """
        if not self._entries:
            return []
        now_s = self._clock()
        self._expire(now_s)
        applied: list[str] = []
        for fault_id, entry in self._entries.items():
            if not (entry.match.holds(facts) and entry.concerns(plan)):
                continue
            entry.matched += 1
            share, state = _draw(self._seed, facts, fault_id)
            if entry.schedule.strikes(facts.key, now_s - entry.put_s, share) and entry.fault.apply(plan, now_s, Random(state)):
                entry.applied += 1
                applied.append(fault_id)
            if plan.decided:
                return self.retract(applied, [entry.fault for entry in self._entries.values() if entry.of_pace])
        return applied

    def retract(self, fault_ids: list[str], void: Collection[object]) -> list[str]:
        """Of those that `apply` named, the ids whose faults are not in `void`; the others have changed nothing and are not counted."""
        kept: list[str] = []
        for fault_id in fault_ids:
            entry = self._entries.get(fault_id)
            if entry is not None and any(entry.fault is fault for fault in void):
                entry.applied -= 1
            else:
                kept.append(fault_id)
        return kept

    def settle(self, faults: Mapping[str, str], void: Collection[object]) -> Mapping[str, str]:
        """What is noted of a call's faults (types by id) once its answer is made: those in `void` are taken back, as by `retract`."""
        return {fault_id: faults[fault_id] for fault_id in self.retract(list(faults), void)} if void else faults

    def kind(self, fault_id: str) -> str:
        """The type of a fault in force."""
        return str(self._entries[fault_id].document["type"])

    def refusing(self) -> bool:
        """Whether a fault that holds between calls does so now: the port refuses connections."""
        now_s = self._clock()
        self._expire(now_s)
        return any(entry.standing and entry.schedule.in_time(now_s - entry.put_s) for entry in self._entries.values())

    def next_change_s(self) -> float | None:
        """When `refusing` may change by itself next, on the table's clock; None where it will not."""
        now_s = self._clock()
        moment_s = min((entry.next_edge_s(now_s) for entry in self._entries.values() if entry.standing), default=math.inf)
        return None if math.isinf(moment_s) else moment_s

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back whenever a fault was put or has ended. One that ends by time is noticed when the table is asked next."""
        self._callbacks.append(callback)

    def _entry(self, document: Mapping[str, Any], put_s: float) -> _Entry[PlanT]:
        parameters = dict(document)
        name = parameters.pop("type", None)
        if not isinstance(name, str) or name not in self._registry:
            raise FaultError(_unknown_type(name, sorted(self._registry)))
        ttl_s = parameters.pop("ttl_s", None)
        lasts_s = math.inf if ttl_s is None else number(ttl_s, "ttl_s", above=0)
        # A type may have a parameter called like a shape, such as the burst of a rate; shapes of that name are objects.
        named_alike = [field.name for field in fields_of(self._registry[name]) if field.name in SHAPES]
        own = {key: parameters.pop(key) for key in named_alike if key in parameters and not isinstance(parameters[key], Mapping)}
        schedule = Schedule(parameters)
        match = Match(parameters.pop("match", {}), self._registry.criteria, self._registry.match_defaults[name])
        standing = name in self._registry.standing
        if standing:
            schedule.refuse_counting(name)
            if "match" in document:
                raise FaultError(f"{name} holds between calls and cannot take match")
        fault = construct(self._registry[name], {**parameters, **own})
        concerns = self._registry.only.get(name, fault.concerns)
        of_pace = name in self._registry.of_pace
        return _Entry(dict(document), fault, concerns, match, schedule, standing, of_pace, put_s, put_s + lasts_s)

    def _expire(self, now_s: float) -> None:
        if now_s < self._next_expiry_s:
            return
        self._entries = {fault_id: entry for fault_id, entry in self._entries.items() if entry.expires_s > now_s}
        self._changed()

    def _changed(self) -> None:
        self._next_expiry_s = min((entry.expires_s for entry in self._entries.values()), default=math.inf)
        for callback in self._callbacks:
            callback()

    def _view(self, fault_id: str) -> dict[str, Any]:
        entry = self._entries[fault_id]
        left_s = None if math.isinf(entry.expires_s) else max(0.0, entry.expires_s - self._clock())
        return {**entry.document, "id": fault_id, "expires_in_s": left_s, "matched": entry.matched, "applied": entry.applied}


def _unknown_type(name: object, known: Sequence[str]) -> str:
    """What is said of a type that is none: the one that was meant comes before the long list of all."""
    meant = get_close_matches(name, known, n=1) if isinstance(name, str) else []
    wrong = f"type {name} is unknown; did you mean {meant[0]}? " if meant else ""
    return f"{wrong}{'Type' if wrong else 'type'} must be one of {', '.join(known)}"


def _draw(seed: int, facts: Facts, fault_id: str) -> tuple[float, int]:
    """A number in [0, 1), and the state of a generator: uniform over requests and repetitions, fixed for this one."""
    digest = hashlib.blake2b(f"{seed}:{facts.key}:{facts.attempt}:{fault_id}".encode(), digest_size=15).digest()
    return int.from_bytes(digest[:7]) / 2**56, int.from_bytes(digest[7:])
