"""What one round of looking saw: the operator's whole view of the world at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.ops.targets import Endpoint

CLIENT = "client"
CERTIFICATE = "certificate: "
"""How the reason of a look begins that ended with the server's certificate."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one round saw of one instance: `error` is None when it answered. `samples` of direct probes are what a store says of itself."""

    endpoint: Endpoint
    duration_s: float
    samples: Sequence[tuple[str, Mapping[str, str], float]] = ()
    error: str | None = None  # refused | unreachable (nobody accepts a connection) | timeout | another reason in words
    serving: bool = False  # asked only where its metrics did not come: does it answer otherwise?
    clock_ahead_s: float | None = None  # by the date of its answer; None where that was not dated


@dataclass(frozen=True, slots=True)
class CanaryAnswer:
    """What came back for a question of the operator's own; `body` is None where none came, which other rules are about."""

    canary: str  # embedding | search | generation
    service: str
    instance: str
    question: int  # which of the canary's questions
    body: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Round:
    """One round of looking, at `t_s` of the operator's clock."""

    t_s: float
    looks: tuple[Look, ...]
    client: Sequence[tuple[str, Mapping[str, str], float]] = ()
    canaries: tuple[CanaryAnswer, ...] = ()  # those that have come since the round before


class BlindError(Exception):
    """At `t_s` nobody could be looked at, for a reason that is not theirs: nothing is to be concluded from it."""

    def __init__(self, t_s: float, reason: str) -> None:
        super().__init__(reason)
        self.t_s = t_s


class Looker(Protocol):
    """Where rounds come from: the network, or a recording."""

    def look(self) -> Round:
        """Raises BlindError."""
        ...
