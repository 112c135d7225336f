"""How rare is a deviation, judged by the largest ones so far: record exceedance, with an allowance for tails that are heavy by nature."""

from __future__ import annotations

import math
from bisect import insort

UNTRIED = -3.0  # before there are enough peaks to judge by
LEAST = -10.0
_KEPT = 24  # peaks
_UPPER = 8  # of the largest peaks are judged by alone as well: where few large events are usual among much that is small
_LOG_UPPER = math.log(_UPPER) + 2.0  # with an allowance, for eight say little of their spread
_UPPER_THINNEST = 0.1
_APART = 10  # points that one cluster of large deviations lasts: they are one event, and count once
_HELD = 50  # more of them for a cluster that is anomalous: a lasting anomaly is not learnt while it lasts
_HOT = 1.5
_GROWTH = 1.3  # a peak is learnt as at most so many times the record, or one extreme value would hide all later ones
_THINNEST = 0.03


class Tail:
    """Peaks over threshold on a logarithmic scale (Hill's estimator; Siffer et al., KDD 2017, use the same idea for streams).

    The threshold is the smallest of the 24 largest peaks, or of the eight largest, whichever makes more of the deviation. The result
    is in nats beyond the record that is to be expected by now: 0 for a deviation as rare as a new record, 2.3 for one that is ten
    times as rare.
    """

    __slots__ = ("_apart", "_hot", "_kept", "_left", "_log_kept", "_peak", "_shape", "_threshold", "_top", "_upper", "_upper_shape")

    def __init__(self, kept: int = _KEPT, apart: int = _APART) -> None:
        self._kept, self._apart, self._log_kept = kept, apart, math.log(kept)
        self._top: list[float] = []
        self._left = 0  # points until the cluster at hand is over
        self._hot = False
        self._peak = 0.0
        self._threshold, self._shape = 0.0, 1.0
        self._upper, self._upper_shape = math.inf, 1.0

    def surprise(self, deviation: float, floor: float) -> float:
        """Judge a deviation >= 0, then learn it. `floor` is the size below which nothing is large."""
        top = self._top
        if len(top) < self._kept:
            found = UNTRIED
        elif deviation <= 0.0:
            found = LEAST
        else:
            threshold = self._threshold if self._threshold > floor else floor
            found = math.log(deviation / threshold) / self._shape - self._log_kept
            if found < LEAST:
                found = LEAST
            if deviation > self._upper:
                found = max(found, math.log(deviation / self._upper) / self._upper_shape - _LOG_UPPER)
        if self._left:
            self._left -= 1
            if deviation > self._peak:
                self._peak = deviation
            if found > _HOT and not self._hot:
                self._hot = True
                self._left += _HELD
            if not self._left:
                self._learn(floor)
        elif len(top) < self._kept or deviation > top[0]:
            self._peak, self._left, self._hot = deviation, self._apart, found > _HOT
            if self._hot:
                self._left += _HELD
        return found

    def _learn(self, floor: float) -> None:
        top, peak = self._top, self._peak
        if len(top) == self._kept:
            if top[-1] > floor:
                peak = min(peak, top[-1] * _GROWTH)
            if peak <= top[0]:
                return
            del top[0]
        insort(top, peak)
        self._threshold = max(top[0], floor)
        self._shape = max(_mean_log_excess(top, self._threshold), _THINNEST)
        if len(top) == self._kept:
            self._upper = max(top[-_UPPER], floor)
            self._upper_shape = max(_mean_log_excess(top[-_UPPER:], self._upper), _UPPER_THINNEST)


def _mean_log_excess(values: list[float], threshold: float) -> float:
    return sum(math.log(value / threshold) for value in values if value > threshold) / len(values)
