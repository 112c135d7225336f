"""What a fault does to the bytes of one direction of one connection: pure functions from pieces to pieces.

A new toxic is one small class here and one entry in `TOXICS`. Its dataclass fields are its parameters. It sees chunks as they
were read and answers with pieces: later (`due_s`), cut, none at all, or followed by an ending. The relay keeps their order and never
sends before `due_s`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any, ClassVar, NamedTuple, Protocol


class ToxicError(ValueError):
    """Parameters that make no toxic; the message says what to write."""


class Ending(Enum):
    """How a direction ends: in order (FIN), or cut (RST)."""

    FIN = "fin"
    RST = "rst"


class Piece(NamedTuple):
    """Bytes (or an ending) on their way: read at `arrived_s`, to be sent at `due_s` (seconds of the event loop's clock)."""

    arrived_s: float
    due_s: float
    data: bytes
    ending: Ending | None = None


Shaper = Callable[[Piece], Iterable[Piece]]
"""What a toxic does to the pieces of one direction of one connection; may keep state."""


class Toxic(Protocol):
    """One fault in force."""

    name: ClassVar[str]

    def shaper(self, rng: Random) -> Shaper:
        """A fresh shaper for one direction of one connection. `rng` is seeded and its own."""
        ...


@dataclass(frozen=True, slots=True)
class Latency:
    """Every chunk, and the FIN behind it, leaves `delay_s` +/- `jitter_s` later. Does not throttle: chunks are delayed side by side."""

    name: ClassVar[str] = "latency"

    delay_s: float
    jitter_s: float = 0.0

    def __post_init__(self) -> None:
        if self.delay_s < 0 or self.jitter_s < 0:
            raise ToxicError("delay_s and jitter_s cannot be negative")

    def shaper(self, rng: Random) -> Shaper:
        """Later by the delay and a uniform draw of the jitter, never earlier than now."""

        def later(piece: Piece) -> Iterable[Piece]:
            added_s = self.delay_s + (rng.uniform(-self.jitter_s, self.jitter_s) if self.jitter_s else 0.0)
            return (piece._replace(due_s=piece.due_s + max(0.0, added_s)),)

        return later


TOXICS: Mapping[str, Callable[..., Toxic]] = {Latency.name: Latency}


def make_toxic(document: Mapping[str, Any]) -> Toxic:
    """The toxic of `{"type": …, parameters…}`. Raises ToxicError."""
    parameters = dict(document)
    name = str(parameters.pop("type", None))
    if name not in TOXICS:
        raise ToxicError(f"type must be one of {', '.join(sorted(TOXICS))}")
    wanted = inspect.signature(TOXICS[name]).parameters
    unknown = sorted(set(parameters) - set(wanted))
    if unknown:
        raise ToxicError(f"unknown parameter {', '.join(unknown)}; {name} has {', '.join(wanted)}")
    missing = [key for key, one in wanted.items() if one.default is one.empty and key not in parameters]
    if missing:
        raise ToxicError(f"{name} needs {', '.join(missing)}")
    return TOXICS[name](**{key: number(key, value) for key, value in parameters.items()})


def number(name: str, value: object) -> float:
    """A finite number. Raises ToxicError."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ToxicError(f"{name} must be a number, not {value!r}")
    return float(value)
