"""What passes on one direction of one connection, and what a toxic is: the words that all toxics are written in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from enum import Enum
from random import Random
from typing import ClassVar, NamedTuple

HELD_BYTES_MAX = 64 * 1024 * 1024
UNTIL_TAKEN_AWAY = math.inf
"""The `due_s` of what leaves only when the toxic that holds it is taken away."""


class ToxicError(ValueError):
    """Parameters that make no toxic; the message says what to write."""


class Ending(Enum):
    """How a direction ends: in order (FIN), in order together with the other one (CLOSE), or cut, both at once (RST)."""

    FIN = "fin"
    CLOSE = "close"
    RST = "rst"


class Piece(NamedTuple):
    """Bytes (or an ending, or bytes and then an ending) on their way, to be sent at `due_s` (seconds of `time.monotonic`)."""

    due_s: float
    data: bytes
    ending: Ending | None = None


Shaper = Callable[[Piece], Iterable[Piece]]
"""What a toxic does to the pieces of one direction of one connection; may keep state. What comes has `due_s` in the past: it is due now."""


class Toxic:
    """One fault in force on one direction of every connection of an edge.

    A toxic is a frozen dataclass: its fields are its parameters. What differs from connection to connection belongs into the shaper,
    what connections share (a link's capacity) into a field with `init=False`.
    """

    __slots__ = ()

    name: ClassVar[str]
    holds_bytes: int = HELD_BYTES_MAX
    """Bytes of one connection that it may hold back before the sender is made to wait: a bound on memory unless it is the fault itself."""
    farewell: ClassVar[Ending | None] = None
    """What befalls a connection that it has touched when it is taken away; None: what it held back leaves, and all is as before."""
    deaf: ClassVar[bool] = False
    """Whether new connections are not even taken: their SYN is dropped."""

    def shaper(self, rng: Random, /) -> Shaper:
        """A fresh shaper for one direction of one connection. `rng` is seeded and the toxic's own."""
        raise NotImplementedError

    def greeting(self, _rng: Random, /) -> Ending | None:
        """What befalls a connection that is open when the toxic comes."""
        return None


def at_least(least: float, **values: float) -> None:
    """Raises ToxicError for a parameter below it."""
    for name, value in values.items():
        if value < least:
            raise ToxicError(f"{name} must be at least {least:g}, not {value:g}")


def a_share(**values: float) -> None:
    """Raises ToxicError for a parameter that is none from 0 to 1."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ToxicError(f"{name} must be from 0 to 1, not {value:g}")
