"""What one round of looking saw: the operator's whole view of the world at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.ops.targets import Endpoint

CLIENT = "client"
CERTIFICATE = "certificate: "
"""How the reason of a look begins that ended with the server's certificate."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one round saw of one instance: `error` is None when it answered. `samples` is empty for direct probes."""

    endpoint: Endpoint
    duration_s: float
    samples: Sequence[tuple[str, Mapping[str, str], float]] = ()
    error: str | None = None  # refused | unreachable (nobody accepts a connection) | timeout | another reason in words


@dataclass(frozen=True, slots=True)
class Round:
    """One round of looking, at `t_s` of the operator's clock."""

    t_s: float
    looks: tuple[Look, ...]
    client: Sequence[tuple[str, Mapping[str, str], float]] = ()


class Looker(Protocol):
    """Where rounds come from: the network, or a recording."""

    def look(self) -> Round: ...
