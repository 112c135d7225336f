"""Toxics that let bytes arrive later, and change none of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

from harness.faults.proxy.piece import Ending, Piece, Shaper, Toxic, ToxicError, a_share, at_least

SEGMENT_BYTES = 1448
"""Of data, in a TCP segment on a network with packets of 1500 bytes: what is lost, and sent again, at a time."""
DOUBLINGS_MAX = 6
"""How often the time until a segment is sent again doubles; later ones are as far apart."""


@dataclass(frozen=True, slots=True)
class Latency(Toxic):
    """Every chunk, and the FIN behind it, leaves `delay_s` +/- `jitter_s` later. Does not throttle: chunks are delayed side by side."""

    name: ClassVar[str] = "latency"

    delay_s: float
    jitter_s: float = 0.0

    def __post_init__(self) -> None:
        at_least(0, delay_s=self.delay_s, jitter_s=self.jitter_s)

    def shaper(self, rng: Random, /) -> Shaper:
        """Later by the delay and a uniform draw of the jitter, never earlier than now."""

        def later(piece: Piece) -> Iterable[Piece]:
            added_s = self.delay_s + (rng.uniform(-self.jitter_s, self.jitter_s) if self.jitter_s else 0.0)
            return (piece._replace(due_s=piece.due_s + max(0.0, added_s)),)

        return later


@dataclass(slots=True)
class Link:
    """When the last byte booked will have passed."""

    free_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Bandwidth(Toxic):
    """All connections together pass at most `bytes_per_s`, in slices of 20 ms; `buffer_bytes` of each wait, then its sender does."""

    name: ClassVar[str] = "bandwidth"

    bytes_per_s: float
    buffer_bytes: float = 256 * 1024
    link: Link = field(default_factory=Link, init=False, compare=False)

    def __post_init__(self) -> None:
        at_least(1, bytes_per_s=self.bytes_per_s, buffer_bytes=self.buffer_bytes)

    @property
    def holds_bytes(self) -> int:  # type: ignore[override]  # a parameter decides here
        return int(self.buffer_bytes)

    def shaper(self, _rng: Random, /) -> Shaper:
        """Each slice leaves when the link has carried it, behind all that was booked before."""
        slice_bytes = max(1, int(self.bytes_per_s * 0.02))
        link = self.link

        def throttle(piece: Piece) -> Iterator[Piece]:
            for start in range(0, len(piece.data), slice_bytes):
                data = piece.data[start : start + slice_bytes]
                link.free_s = max(link.free_s, piece.due_s) + len(data) / self.bytes_per_s
                yield Piece(link.free_s, data)
            if piece.ending is not None:
                yield Piece(piece.due_s, b"", piece.ending)

        return throttle


@dataclass(frozen=True, slots=True)
class Loss(Toxic):
    """Segments are lost, and what TCP makes of it: each arrives when it has been sent again, and all behind it waits for it.

    A segment is `rate` likely to be lost, and so is each repetition, after `resend_s`, twice that, and so on. With `burst` 1 losses are
    independent; above, they follow Gilbert and Elliott: runs of `burst` segments on average, `rate` of all segments in the long run.
    """

    name: ClassVar[str] = "loss"

    rate: float
    burst: float = 1.0
    resend_s: float = 0.2  # TCP's least retransmission timeout on Linux

    def __post_init__(self) -> None:
        a_share(rate=self.rate)
        at_least(1, burst=self.burst)
        at_least(0, resend_s=self.resend_s)
        if self.rate > 0.9:
            raise ToxicError(f"rate must be at most 0.9, not {self.rate:g}: nothing would ever arrive")

    def shaper(self, rng: Random, /) -> Shaper:
        """What precedes a lost segment passes; the segment and what follows leave when it has got through."""
        lost = Losses(self.rate, self.burst, rng)

        def lose(piece: Piece) -> Iterator[Piece]:
            begun, due_s = 0, piece.due_s
            for start in range(0, len(piece.data), SEGMENT_BYTES):
                waited_s = self._until_through_s(lost)
                if waited_s == 0.0:
                    continue
                if start > begun:
                    yield Piece(due_s, piece.data[begun:start])
                begun, due_s = start, max(due_s, piece.due_s + waited_s)
            yield Piece(due_s, piece.data[begun:], piece.ending)

        return lose

    def _until_through_s(self, lost: Losses) -> float:
        waited_s, times = 0.0, 0
        while lost.next():
            waited_s += self.resend_s * 2 ** min(times, DOUBLINGS_MAX)
            times += 1
        return waited_s


class Losses:
    """Which of a sequence of segments are lost: the chain of Gilbert and Elliott with a good state and a bad one, in which all are lost."""

    def __init__(self, rate: float, burst: float, rng: Random) -> None:
        self._rng = rng
        self._bad = False
        if burst <= 1.0:
            self._to_bad = self._stay_bad = rate
        else:
            self._stay_bad = 1.0 - 1.0 / burst
            self._to_bad = min(1.0, (1.0 - self._stay_bad) * rate / (1.0 - rate))

    def next(self) -> bool:
        """Whether the next one is lost."""
        self._bad = self._rng.random() < (self._stay_bad if self._bad else self._to_bad)
        return self._bad


@dataclass(frozen=True, slots=True)
class Slicer(Toxic):
    """Chunks arrive cut into pieces of `bytes` +/- `variation` bytes, `delay_s` apart."""

    name: ClassVar[str] = "slicer"

    bytes: float
    variation: float = 0.0
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        at_least(1, bytes=self.bytes)
        at_least(0, variation=self.variation, delay_s=self.delay_s)
        if self.variation >= self.bytes:
            raise ToxicError("variation must be less than bytes, or a piece could be empty")

    def shaper(self, rng: Random, /) -> Shaper:
        """The first piece of a chunk leaves at once, unless earlier ones are still on their way."""
        free_s = 0.0

        def cut(piece: Piece) -> Iterator[Piece]:
            nonlocal free_s
            start, due_s = 0, max(piece.due_s, free_s)
            while start < len(piece.data):
                size = max(1, round(self.bytes + rng.uniform(-self.variation, self.variation)))
                last = start + size >= len(piece.data)
                yield Piece(due_s, piece.data[start : start + size], piece.ending if last else None)
                start, due_s = start + size, due_s + self.delay_s
            free_s = due_s
            if not piece.data:
                yield piece._replace(due_s=due_s)

        return cut


@dataclass(frozen=True, slots=True)
class SlowClose(Toxic):
    """Bytes pass at once, the end of the connection `delay_s` later."""

    name: ClassVar[str] = "slow_close"

    delay_s: float

    def __post_init__(self) -> None:
        at_least(0, delay_s=self.delay_s)

    def shaper(self, _rng: Random, /) -> Shaper:
        """Only the ending waits."""

        def close(piece: Piece) -> Iterable[Piece]:
            if piece.ending not in (Ending.FIN, Ending.CLOSE):
                return (piece,)
            ending = Piece(piece.due_s + self.delay_s, b"", piece.ending)
            return (piece._replace(ending=None), ending) if piece.data else (ending,)

        return close
