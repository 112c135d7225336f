"""What a detector is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol


class Detector(Protocol):
    """Scores one series while it arrives. Memory is bounded; a score depends on nothing that comes later."""

    def update(self, t_s: float, value: float) -> float:
        """The score in [0, 1] of `value`, seen at `t_s` seconds. A value that is not finite is missing: it scores 0 and teaches nothing."""
        ...


class MultivariateDetector(Protocol):
    """Scores several series at once."""

    def update(self, t_s: float, values: Sequence[float]) -> float:
        """The score in [0, 1] of one row; the first row says how many columns there are. A row that lacks a value scores 0."""
        ...


_LARGEST = 1e100  # larger values count as this: their squares would be infinite


def reading(value: float) -> float:
    """A value that can be reckoned with; NaN where there is none."""
    if -_LARGEST < value < _LARGEST:
        return value
    return math.copysign(_LARGEST, value) if math.isfinite(value) else math.nan


def squash(distance: float, usual: float) -> float:
    """A distance >= 0 as a score: 0.5 at `usual`, towards 1 far beyond it."""
    return distance * distance / (distance * distance + usual * usual) if math.isfinite(distance) else 1.0
