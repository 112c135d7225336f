"""A quantile sketch of bounded size that can be merged: DDSketch (Masson, Rim and Lee, VLDB 2019), both signs."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

ACCURACY = 0.02
"""Relative error of a quantile, where no bins had to be joined."""
MOST_BINS = 128
_LARGEST_BIN = 32_767
_GAMMA = (1.0 + ACCURACY) / (1.0 - ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)
_COUNT, _BIN = array("I").itemsize, array("I").itemsize + array("h").itemsize
_HEAD = 2 * _COUNT
_SMALLEST = 1e-9  # what is nearer to zero counts as zero


class Sketch:
    """Counts by logarithmic bins. Where there are too many, the lowest in magnitude are joined: the tail is what is asked for."""

    __slots__ = ("_bins", "_negative", "_zeros", "count")

    def __init__(self) -> None:
        self.count = 0
        self._zeros = 0
        self._bins: dict[int, int] = {}
        self._negative: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Raises ValueError for what is not finite."""
        if not math.isfinite(value):
            raise ValueError(f"{value} is no finite value")
        self.count += 1
        if abs(value) < _SMALLEST:
            self._zeros += 1
            return
        bins = self._bins if value > 0 else self._negative
        at = min(math.ceil(math.log(abs(value)) / _LOG_GAMMA), _LARGEST_BIN)
        bins[at] = bins.get(at, 0) + 1
        _join(bins)

    def merge(self, other: Sketch) -> None:
        """Take in all that the other has seen."""
        self.count += other.count
        self._zeros += other._zeros
        for mine, theirs in ((self._bins, other._bins), (self._negative, other._negative)):
            for at, n in theirs.items():
                mine[at] = mine.get(at, 0) + n
            _join(mine)

    def to_bytes(self) -> bytes:
        """Six bytes a bin: what is only kept need not be counted on."""
        bins = [(at, n) for of in (self._bins, self._negative) for at, n in of.items()]
        head = array("I", (self._zeros, len(self._bins)))
        return head.tobytes() + array("I", (n for _, n in bins)).tobytes() + array("h", (at for at, _ in bins)).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Sketch:
        """What `to_bytes` wrote, on this machine."""
        made = cls()
        head, many = array("I", data[:_HEAD]), (len(data) - _HEAD) // _BIN
        counts, places = array("I", data[_HEAD : _HEAD + many * _COUNT]), array("h", data[_HEAD + many * _COUNT :])
        pairs = list(zip(places, counts, strict=True))
        made._zeros, positive = head
        made._bins, made._negative = dict(pairs[:positive]), dict(pairs[positive:])
        made.count = made._zeros + sum(counts)
        return made

    def quantile(self, q: float) -> float:
        """The value at rank q (0..1). Raises ValueError when nothing was seen."""
        if self.count == 0:
            raise ValueError("nothing was seen")
        rank = min(max(q, 0.0), 1.0) * (self.count - 1)
        seen, found = 0, 0.0
        for value, n in self._ascending():
            seen, found = seen + n, value
            if seen > rank:
                break
        return found

    def _ascending(self) -> Iterator[tuple[float, int]]:
        yield from ((-_middle(at), self._negative[at]) for at in sorted(self._negative, reverse=True))
        if self._zeros:
            yield 0.0, self._zeros
        yield from ((_middle(at), self._bins[at]) for at in sorted(self._bins))


def _middle(at: int) -> float:
    return float(2.0 * _GAMMA**at / (_GAMMA + 1.0))


def _join(bins: dict[int, int]) -> None:
    while len(bins) > MOST_BINS:
        lowest, next_ = sorted(bins)[:2]
        bins[next_] += bins.pop(lowest)
