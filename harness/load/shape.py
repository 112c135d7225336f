"""How many arrivals a second are offered, as a pure function of time.

The segments of a scenario become *pieces*, laid end to end, in each of which the rate is linear:

    rate(t) = a + (b - a) * (t - start) / (end - start)        arrivals per second

    constant, poisson   a = b                         ──────────
    ramp                a = from, b = to                 ___───
    spike               base, peak, base, a third each   __▔▔__

The number of arrivals expected in a piece up to t is its area, M(t) = a*x + (b - a) * x**2 / (2 * (end - start)) with x = t - start;
`Piece.time_of` is its inverse, which is what a schedule needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.scenario.model import Segment

_TOLERANCE_S = 1e-6


class ShapeError(ValueError):
    """The segments do not fit the length of the run."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch with a linear rate. Times in seconds from the start of the load, rates in arrivals per second.

    `mix` holds the weights of the journeys; `poisson` asks for exponential gaps instead of even ones.
    """

    start_s: float
    end_s: float
    from_per_s: float
    to_per_s: float
    poisson: bool
    mix: Mapping[str, float]

    @property
    def area(self) -> float:
        """Arrivals expected in the whole piece."""
        return (self.from_per_s + self.to_per_s) / 2 * (self.end_s - self.start_s)

    def rate(self, t_s: float) -> float:
        """Arrivals per second at `t_s`, which lies inside."""
        return self.from_per_s + self._slope * (t_s - self.start_s)

    def area_until(self, t_s: float) -> float:
        """Arrivals expected from the start of the piece to `t_s`; clamped to the piece."""
        x = min(max(t_s, self.start_s), self.end_s) - self.start_s
        return self.from_per_s * x + self._slope * x * x / 2

    def time_of(self, area: float) -> float:
        """The inverse of `area_until`, for 0 < area <= `self.area`."""
        # The usual root (-a + sqrt(..)) / slope loses its digits as the slope goes to 0; this form of it does not.
        root = math.sqrt(max(0.0, self.from_per_s**2 + 2 * self._slope * area))
        return min(self.end_s, self.start_s + 2 * area / (self.from_per_s + root))

    @property
    def _slope(self) -> float:
        return (self.to_per_s - self.from_per_s) / (self.end_s - self.start_s)


@dataclass(frozen=True, slots=True)
class Shape:
    """The rate over the whole run."""

    pieces: tuple[Piece, ...]

    @property
    def duration_s(self) -> float:
        return self.pieces[-1].end_s

    def rate(self, t_s: float) -> float:
        """Arrivals per second at `t_s`; 0 outside of the run. At a border the later piece counts."""
        return next((p.rate(t_s) for p in reversed(self.pieces) if p.start_s <= t_s < p.end_s), 0.0)

    def expected(self, start_s: float, end_s: float) -> float:
        """Arrivals expected in [start_s, end_s): the integral of the rate."""
        return sum(p.area_until(end_s) - p.area_until(start_s) for p in self.pieces)


def lay_out(segments: Sequence[Segment], duration_s: float, mix: Mapping[str, float]) -> Shape:
    """Lay the segments end to end over a run of `duration_s` seconds; at most one has no `for`, and takes what the others leave.

    `mix` is for the segments without one of their own. Raises ShapeError when they do not fill the run exactly.
    """
    pieces: list[Piece] = []
    start_s = 0.0
    for segment, length_s in zip(segments, _lengths(segments, duration_s), strict=True):
        pieces.extend(_pieces(segment, start_s, length_s, segment.mix or mix))
        start_s += length_s
    return Shape(tuple(pieces))


def _lengths(segments: Sequence[Segment], duration_s: float) -> list[float]:
    open_ended = [i for i, s in enumerate(segments) if s.for_s is None]
    fixed_s = sum(s.for_s for s in segments if s.for_s is not None)
    if len(open_ended) > 1:
        raise ShapeError(f"segments {', '.join(str(i + 1) for i in open_ended)} have no `for`; only one can take what is left")
    if open_ended and fixed_s >= duration_s - _TOLERANCE_S:
        raise ShapeError(f"the segments with `for` take {fixed_s:g}s of {duration_s:g}s; nothing is left for segment {open_ended[0] + 1}")
    if not open_ended and abs(fixed_s - duration_s) > _TOLERANCE_S:
        raise ShapeError(f"the segments last {fixed_s:g}s, the phases {duration_s:g}s; drop `for` from the last segment")
    return [duration_s - fixed_s if s.for_s is None else s.for_s for s in segments]


def _pieces(segment: Segment, start_s: float, length_s: float, mix: Mapping[str, float]) -> list[Piece]:
    if segment.spike is not None:
        base, peak = segment.spike.base, segment.spike.peak
        rates = [(base, base), (peak, peak), (base, base)]
    elif segment.ramp is not None:
        rates = [(segment.ramp.from_, segment.ramp.to)]
    else:
        rate = segment.poisson if segment.constant is None else segment.constant
        assert rate is not None  # the model admits exactly one of the four
        rates = [(rate, rate)]
    borders = [start_s + length_s * i / len(rates) for i in range(len(rates) + 1)]
    return [Piece(borders[i], borders[i + 1], a, b, segment.poisson is not None, dict(mix)) for i, (a, b) in enumerate(rates)]
