"""The time axis that the panels of a figure share, and its ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

LEFT, RIGHT, WIDTH = 118.0, 22.0, 1100.0
PLOT = WIDTH - LEFT - RIGHT


@dataclass(frozen=True, slots=True)
class Axis:
    """The shared time axis, in seconds from the start of the first phase."""

    start_s: float
    end_s: float

    def x(self, t_s: float) -> float:
        """Where a time lies; what is outside of the axis lies on its border."""
        share = (t_s - self.start_s) / (self.end_s - self.start_s)
        return LEFT + PLOT * min(1.0, max(0.0, share))

    def ticks_s(self) -> list[float]:
        step = nice_step(self.end_s - self.start_s, 10)
        first = math.ceil(self.start_s / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.end_s / step + 1e-9) + 1)]


def nice_step(span: float, ticks: int) -> float:
    """A step of 1, 2 or 5 times a power of ten that gives about so many ticks."""
    raw = span / max(1, ticks)
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw * 0.999)
