"""Bad requests on the time axis, so that any stretch of it is counted at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from harness.score.sli import Proportion
from harness.score.spans import Span


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
        return cls(found.t_ns, found.bad_before)

    def bad(self, first: NDArray[Any], after: NDArray[Any]) -> NDArray[np.float64]:
        """Bad ones from `first` on and before `after`. Nine digits: scores such as 1/3 must add up alike wherever they stand."""
        found: NDArray[np.float64] = np.round(self.bad_before[after] - self.bad_before[first], 9)
        return found

    def samples(self, span: Span) -> int:
        """How many requests a span holds."""
        first, after = np.searchsorted(self.t_ns, (span.start_ns, span.end_ns))
        return int(after - first)
