"""Bad requests on the time axis, so that any stretch of it is counted at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from harness.score.sli import Proportion
from harness.score.spans import Span

_AT_ONCE = 1 << 17  # requests


@dataclass(frozen=True, slots=True)
class Timeline:
    """`bad_before[n]` is what is bad (0..1 each) among the first n requests, whose times ascend."""

    t_ns: NDArray[np.int64]
    bad_before: NDArray[np.float64]

    @classmethod
    def build(cls, t_ns: NDArray[np.int64], bad: NDArray[Any]) -> Self:
        """From times in any order."""
        order = np.argsort(t_ns, kind="stable")
        return cls(t_ns[order], np.concatenate([[0.0], np.cumsum(bad[order])]))

    @classmethod
    def of(cls, found: Proportion) -> Self:
        """Of an SLI with its limit."""
        return cls.build(found.t_ns, found.bad)

    def bad(self, first: NDArray[Any], after: NDArray[Any]) -> NDArray[np.float64]:
        """Bad ones from `first` on and before `after`. Nine digits: scores such as 1/3 must add up alike wherever they stand."""
        found: NDArray[np.float64] = np.round(self.bad_before[after] - self.bad_before[first], 9)
        return found

    def changes(self, offsets_ns: Sequence[int], span: Span) -> Iterator[NDArray[np.int64]]:
        """The start of the span and every time in it that lies one of the offsets after a request, ascending, in pieces.

        Pieces of limited length, so that memory does not grow with the run.
        """
        inside = self.t_ns[::_AT_ONCE]
        inside = inside[(inside > span.start_ns) & (inside < span.end_ns)]
        borders = [span.start_ns, *np.unique(inside).tolist(), span.end_ns]
        first = np.array([span.start_ns], dtype=np.int64)
        for start_ns, end_ns in pairwise(borders):
            pieces = [self._shifted(offset_ns, start_ns, end_ns) for offset_ns in offsets_ns]
            if len(found := np.unique(np.concatenate([first, *pieces]))):
                yield found
            first = first[:0]

    def _shifted(self, offset_ns: int, start_ns: int, end_ns: int) -> NDArray[np.int64]:
        first, after = np.searchsorted(self.t_ns, (start_ns - offset_ns, end_ns - offset_ns))
        shifted: NDArray[np.int64] = self.t_ns[first:after] + offset_ns
        return shifted

    def samples(self, span: Span) -> int:
        """How many requests a span holds."""
        first, after = np.searchsorted(self.t_ns, (span.start_ns, span.end_ns))
        return int(after - first)
