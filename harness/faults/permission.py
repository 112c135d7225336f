"""Who is asked before a fault is injected: on a game day a person, else nobody."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from harness.faults.base import FaultError, KnownFault
from harness.record.clock import NS_PER_S
from harness.scenario.model import FaultUse

LATE_S = 1.0  # what a fault that just fits into its phase may lose of its length
LEAST_S = 5.0  # what must be left of the phase for one that lasts to its end


@dataclass(frozen=True, slots=True)
class Times:
    """When a fault is injected and healed (monotonic ns), and how long after injection the first evidence may take."""

    inject_ns: int
    heal_ns: int
    verify_within_s: float


@dataclass(frozen=True, slots=True)
class Allowed:
    """A fault as it is injected, and when it begins and ends."""

    known: KnownFault
    times: Times


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not injected, for that reason."""

    reason: str


Allow = Callable[[KnownFault, Times, int], "Allowed | Refused | None"]
"""Asked of (fault, its times, now in ns) while it is due; None as long as nobody has decided."""


def always(known: KnownFault, times: Times, _now_ns: int) -> Allowed:
    """Nobody is asked."""
    return Allowed(known, times)


NEVER = Times(sys.maxsize, sys.maxsize, 0.0)


@dataclass(frozen=True, slots=True)
class Granted:
    """It may be injected as it says, which need not be what the scenario says."""

    use: FaultUse


class Permission(Protocol):
    """Asked before each injection. Answers at once."""

    def ask(self, use: FaultUse) -> Granted | Refused | None:
        """Of a fault whose time has come; again and again until there is an answer. None: nobody has decided yet."""
        ...


@dataclass(frozen=True, slots=True)
class Gate:
    """What stands between one fault and its injection. `build` makes a fault that was changed, `span` is its phase (start_ns, end_ns)."""

    permission: Permission
    use: FaultUse
    build: Callable[[FaultUse], KnownFault]
    span: tuple[int, int]

    def __call__(self, known: KnownFault, planned: Times, now_ns: int) -> Allowed | Refused | None:
        """A fault that is approved late keeps its whole length; one for which too little of its phase is left is refused."""
        length_ns = planned.heal_ns - planned.inject_ns
        asked_ns = length_ns if self.use.for_s is not None else round(LEAST_S * NS_PER_S)
        answer = self.permission.ask(self.use)
        if isinstance(answer, Refused):
            return answer
        if now_ns > self.span[1] - asked_ns + round(LATE_S * NS_PER_S):
            late = "approved too late" if answer is not None else "nobody approved it in time"
            return Refused(f"{late}: {asked_ns / NS_PER_S:g}s of it no longer fit into {self.use.phase}")
        if answer is None:
            return None
        end_ns = min(self.span[1], now_ns + length_ns) if self.use.for_s is not None else self.span[1]
        try:
            fault = known if answer.use == self.use else self._changed(answer.use)
        except FaultError as error:
            return Refused(f"it cannot be injected as it was changed: {error}")
        return Allowed(fault, replace(planned, inject_ns=now_ns, heal_ns=end_ns))

    def _changed(self, use: FaultUse) -> KnownFault:
        """What was changed is part of its truth: it is not what the scenario asks for."""
        known = self.build(use)
        pairs = (("target", self.use.target, use.target), ("with", self.use.with_, use.with_))
        changed = {name: {"asked": asked, "injected": injected} for name, asked, injected in pairs if asked != injected}
        return replace(known, tell=partial(_with_changes, known.tell, changed))


def _with_changes(tell: Callable[[], Mapping[str, Any]], changed: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**tell(), "changed": changed}
