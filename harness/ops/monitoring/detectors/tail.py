"""How rare is a deviation, judged by the largest ones so far: record exceedance, with an allowance for tails that are heavy by nature."""

from __future__ import annotations

import math
from bisect import insort

UNTRIED = -3.0  # before there are enough peaks to judge by
LEAST = -10.0
_KEPT = 24  # peaks
_APART = 10  # points that one cluster of large deviations lasts: they are one event, and count once
_HELD = 50  # more of them for a cluster that is anomalous: a lasting anomaly is not learnt while it lasts
_HOT = 1.5
_GROWTH = 1.3  # a peak is learnt as at most so many times the record, or one extreme value would hide all later ones
_THINNEST = 0.03


class Tail:
    """Peaks over threshold on a logarithmic scale (Hill's estimator; Siffer et al., KDD 2017, use the same idea for streams).

    The threshold is the smallest of the 24 largest peaks. The result is in nats beyond the record that is to be expected by now: 0 for
    a deviation as rare as a new record, 2.3 for one that is ten times as rare.
    """

    __slots__ = ("_apart", "_hot", "_kept", "_left", "_log_kept", "_peak", "_shape", "_threshold", "_top")

    def __init__(self, kept: int = _KEPT, apart: int = _APART) -> None:
        self._kept, self._apart, self._log_kept = kept, apart, math.log(kept)
        self._top: list[float] = []
        self._left = 0  # points until the cluster at hand is over
        self._hot = False
        self._peak = 0.0
        self._threshold, self._shape = 0.0, 1.0

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
        above = [math.log(value / self._threshold) for value in top if value > self._threshold]
        self._shape = max(sum(above) / len(top), _THINNEST)
