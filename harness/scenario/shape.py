"""How many arrivals a second are offered, as a pure function of time.

The segments of a scenario become *pieces*, laid end to end, in each of which the rate is linear, with a swing on top where it is a sine:

    rate(t) = a + (b - a) * x / length + swing * sin(2 pi x / period)        arrivals per second, x = t - start

    constant, soak, poisson, gamma   a = b                                   ──────────
    ramp                             a = from, b = to                           ___───
    steps, sweep                     one piece a step, even or by a factor   __--▔▔
    spike                            base, peak, base, a third each          __▔▔__
    sine                             a = b = mean, swing = amplitude         ∿∿∿∿
    trace                            the arrivals themselves

The number of arrivals expected in a piece up to t is its area, the integral of the rate; `Piece.time_of` is its inverse, which is what a
schedule needs.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.scenario.segments import Segment
from harness.scenario.traces import Trace, read_trace

_TOLERANCE_S = 1e-6


class ShapeError(ValueError):
    """The segments do not fit the length of the run."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A trace in the place of a rate."""

    file: str
    format: str
    speed: float
    mixed: bool  # the segment has a mix of its own, so that recorded journeys do not count

    @property
    def trace(self) -> Trace:
        """Raises TraceError."""
        return read_trace(self.file, self.format)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch with a linear rate. Times in seconds from the start of the load, rates in arrivals per second.

    `mix` holds the weights of the journeys. `burstiness` is the shape of the gamma distribution that gaps are drawn from: 1 is Poisson,
    None asks for even ones. `swing_per_s` and `period_s` add a sine, `replay` puts recorded arrivals in the place of all that.
    """

    start_s: float
    end_s: float
    from_per_s: float
    to_per_s: float
    burstiness: float | None
    mix: Mapping[str, float]
    swing_per_s: float = 0.0
    period_s: float = 1.0
    replay: Replay | None = None

    @property
    def area(self) -> float:
        """Arrivals expected in the whole piece."""
        return self.area_until(self.end_s)

    def rate(self, t_s: float) -> float:
        """Arrivals per second at `t_s`, which lies inside; of a replay, those within half a second before and after."""
        if self.replay is not None:
            return self.area_until(t_s + 0.5) - self.area_until(t_s - 0.5)
        x = t_s - self.start_s
        return self.from_per_s + self._slope * x + self.swing_per_s * math.sin(self._turn * x)

    def area_until(self, t_s: float) -> float:
        """Arrivals expected from the start of the piece to `t_s`; clamped to the piece."""
        x = min(max(t_s, self.start_s), self.end_s) - self.start_s
        if self.replay is not None:
            return float(bisect_left(self.replay.trace.offsets_s, x * self.replay.speed))
        swung = self.swing_per_s / self._turn * (1.0 - math.cos(self._turn * x)) if self.swing_per_s else 0.0
        return self.from_per_s * x + self._slope * x * x / 2 + swung

    def time_of(self, area: float) -> float:
        """The inverse of `area_until`, for 0 < area <= `self.area`."""
        if self.swing_per_s:
            return self._time_of_swing(area)
        # The usual root (-a + sqrt(..)) / slope loses its digits as the slope goes to 0; this form of it does not.
        root = math.sqrt(max(0.0, self.from_per_s**2 + 2 * self._slope * area))
        return min(self.end_s, self.start_s + 2 * area / (self.from_per_s + root))

    def replayed(self) -> Iterator[float]:
        """The times of a replay's arrivals; those beyond the end are left out. Raises TraceError."""
        assert self.replay is not None
        speed, offsets_s = self.replay.speed, self.replay.trace.offsets_s
        return (self.start_s + offsets_s[n] / speed for n in range(round(self.area)))

    def _time_of_swing(self, area: float) -> float:
        low, high = self.start_s, self.end_s
        for _ in range(60):  # the area never falls: halving ends at the last digit of a float
            middle = (low + high) / 2
            low, high = (middle, high) if self.area_until(middle) < area else (low, middle)
        return high

    @property
    def _slope(self) -> float:
        return (self.to_per_s - self.from_per_s) / (self.end_s - self.start_s)

    @property
    def _turn(self) -> float:
        return 2 * math.pi / self.period_s


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
        pieces.extend(pieces_of(segment, start_s, length_s, mix))
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


def pieces_of(segment: Segment, start_s: float, length_s: float, mix: Mapping[str, float]) -> list[Piece]:
    """The pieces of one segment; `mix` is for one without its own."""
    kind, mix = segment.kind, dict(segment.mix or mix)
    if segment.sine is not None:
        mean = segment.sine.mean
        return [Piece(start_s, start_s + length_s, mean, mean, None, mix, segment.sine.amplitude, segment.sine.period)]
    if segment.trace is not None:
        replay = Replay(segment.trace.file, segment.trace.format, segment.trace.speed, segment.mix is not None)
        return [Piece(start_s, start_s + length_s, 0.0, 0.0, None, mix, replay=replay)]
    burstiness = {"poisson": 1.0, "gamma": segment.gamma.burstiness if segment.gamma else None}.get(kind)
    rates = _rates(segment)
    borders = [start_s + length_s * i / len(rates) for i in range(len(rates) + 1)]
    return [Piece(borders[i], borders[i + 1], a, b, burstiness, mix) for i, (a, b) in enumerate(rates)]


def _rates(segment: Segment) -> list[tuple[float, float]]:
    """(first, last) rate of each piece; the pieces are equally long."""
    if segment.spike is not None:
        return [(rate, rate) for rate in (segment.spike.base, segment.spike.peak, segment.spike.base)]
    if segment.ramp is not None:
        return [(segment.ramp.from_, segment.ramp.to)]
    if (steps := segment.steps) is not None:
        height = (steps.to - steps.from_) / (steps.steps - 1)
        return [(rate, rate) for rate in (steps.from_ + height * i for i in range(steps.steps))]
    if (sweep := segment.sweep) is not None:
        factor = (sweep.to / sweep.from_) ** (1 / (sweep.steps - 1))
        return [(rate, rate) for rate in (sweep.from_ * factor**i for i in range(sweep.steps))]
    rate = segment.gamma.rate if segment.gamma is not None else getattr(segment, segment.kind)
    return [(rate, rate)]
