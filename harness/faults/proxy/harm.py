"""Toxics after which bytes or connections are not what they were."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from harness.faults.proxy.piece import UNTIL_TAKEN_AWAY, Ending, Piece, Shaper, Toxic, a_share, at_least


@dataclass(frozen=True, slots=True)
class Partition(Toxic):
    """Nothing arrives, as where packets are dropped: what is sent waits until the partition ends, and new connections are not taken.

    Of one direction alone the other goes on; a new connection needs both.
    """

    name: ClassVar[str] = "partition"
    deaf: ClassVar[bool] = True

    def shaper(self, _rng: Random, /) -> Shaper:
        """Held back, endings as well."""
        return lambda piece: (piece._replace(due_s=UNTIL_TAKEN_AWAY),)


@dataclass(frozen=True, slots=True)
class Blackhole(Toxic):
    """Connections are taken and bytes vanish. Whoever has lost some is reset when it ends: the rest would make no sense."""

    name: ClassVar[str] = "blackhole"
    farewell: ClassVar[Ending | None] = Ending.RST

    def shaper(self, _rng: Random, /) -> Shaper:
        """Nothing, not even the end."""
        return lambda _piece: ()


@dataclass(frozen=True, slots=True)
class Reset(Toxic):
    """Connections are cut with RST: each chunk is `probability` likely to be the one, once `after_bytes` have passed.

    With `open` 1 those that are open when it comes are cut as well, each as likely.
    """

    name: ClassVar[str] = "reset"

    after_bytes: float = 0.0
    probability: float = 1.0
    open: float = 0.0

    def __post_init__(self) -> None:
        at_least(0, after_bytes=self.after_bytes)
        a_share(probability=self.probability, open=self.open)

    def shaper(self, rng: Random, /) -> Shaper:
        """What may still pass, then the cut in the place of the rest."""
        left = int(self.after_bytes)

        def cut(piece: Piece) -> Iterable[Piece]:
            nonlocal left
            passed, left = piece.data[:left], max(0, left - len(piece.data))
            if len(passed) == len(piece.data) or rng.random() >= self.probability:
                return (piece,)
            return (Piece(piece.due_s, passed, Ending.RST),)

        return cut

    def greeting(self, rng: Random, /) -> Ending | None:
        return Ending.RST if self.open and rng.random() < self.probability else None


@dataclass(frozen=True, slots=True)
class DataLimit(Toxic):
    """A connection is closed in order when `after_bytes` have passed."""

    name: ClassVar[str] = "data_limit"

    after_bytes: float

    def __post_init__(self) -> None:
        at_least(0, after_bytes=self.after_bytes)

    def shaper(self, _rng: Random, /) -> Shaper:
        """The bytes that are still allowed, then the end."""
        left = int(self.after_bytes)

        def limit(piece: Piece) -> Iterable[Piece]:
            nonlocal left
            passed, left = piece.data[:left], max(0, left - len(piece.data))
            return (piece,) if len(passed) == len(piece.data) else (Piece(piece.due_s, passed, Ending.CLOSE),)

        return limit


@dataclass(frozen=True, slots=True)
class Corruption(Toxic):
    """A chunk is `probability` likely to arrive with one bit of it flipped."""

    name: ClassVar[str] = "corruption"

    probability: float

    def __post_init__(self) -> None:
        a_share(probability=self.probability)

    def shaper(self, rng: Random, /) -> Shaper:
        """As many bytes, one of them another."""

        def flip(piece: Piece) -> Iterable[Piece]:
            if not piece.data or rng.random() >= self.probability:
                return (piece,)
            data = bytearray(piece.data)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            return (piece._replace(data=bytes(data)),)

        return flip


@dataclass(frozen=True, slots=True)
class Duplicate(Toxic):
    """A chunk is `probability` likely to arrive twice, as from an intermediary that repeats itself; TCP alone never shows this."""

    name: ClassVar[str] = "duplicate"

    probability: float

    def __post_init__(self) -> None:
        a_share(probability=self.probability)

    def shaper(self, rng: Random, /) -> Shaper:
        """Once, or once more behind it."""

        def repeat(piece: Piece) -> Iterable[Piece]:
            if not piece.data or rng.random() >= self.probability:
                return (piece,)
            return (piece._replace(ending=None), piece)

        return repeat
