"""Requests and claims on the run's time axis, ready to be drawn: seconds from the start of the first phase."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.record.history import History
from harness.record.pieces import Rows
from harness.record.requests import Outcome

MAX_BINS = 600  # beyond it bins grow wider than a second
PERCENTILES = (50, 95, 99)
_BINS_AT_ONCE = 30
FAILURES = (Outcome.ERROR, Outcome.TIMEOUT, Outcome.DROPPED, Outcome.REJECTED, Outcome.TRUNCATED)
Values = tuple[float | None, ...]
Range = tuple[Values, Values]
"""Lowest and highest of each bin."""


@dataclass(frozen=True, slots=True)
class Series:
    """Bins of `bin_s` seconds from `start_s` on. All tuples are equally long; None where a bin has no sample."""

    start_s: float
    bin_s: float
    offered_per_s: Values  # by intended start
    served_per_s: Values  # by end, outcome ok
    latency_s: Mapping[int, Values]  # percentile -> value, over ok and timeout, by intended start
    failures_per_s: Mapping[Outcome, Values]  # by intended start
    offered_range_per_s: Range  # of the whole seconds in a bin: a burst of one second is not averaged away
    served_range_per_s: Range
    failed_range_per_s: Range  # all failures together
    latency_range_s: Range  # the fastest and the slowest request

    @property
    def bins(self) -> int:
        return len(self.offered_per_s)

    def times_s(self) -> tuple[float, ...]:
        """The middle of each bin."""
        return tuple(self.start_s + (i + 0.5) * self.bin_s for i in range(self.bins))


def length_s(history: History) -> float:
    """From the start of the first phase to the end of the last one, or of the record where it stops inside one."""
    ends = [p.end_ns if p.end_ns is not None else history.end_ns for p in history.phases]
    return max(1.0, (max(ends) - history.start_ns) / 1e9) if ends else 1.0


def series(history: History) -> Series:
    """Bin the requests of a run. Whatever the width of a bin, its extremes are kept beside its mean."""
    duration_s = length_s(history)
    width_s = max(1, math.ceil(duration_s / MAX_BINS))
    bins = math.ceil(duration_s / width_s)
    counted = {name: np.zeros(bins * width_s, dtype=np.int64) for name in ("offered", "served", *FAILURES)}
    for rows in history.requests.pieces():
        intended = _second(rows["intended_ns"], history.start_ns)
        counted["offered"] += _counts(intended, bins * width_s)
        counted["served"] += _counts(_second(rows["end_ns"], history.start_ns)[rows["outcome"] == Outcome.OK], bins * width_s)
        for outcome in FAILURES:
            counted[outcome] += _counts(intended[rows["outcome"] == outcome], bins * width_s)
    failed = np.sum([counted[outcome] for outcome in FAILURES], axis=0)
    percentiles, latency_range_s = _latency(history, bins, float(width_s))
    return Series(
        start_s=0.0,
        bin_s=float(width_s),
        offered_per_s=_rate(counted["offered"], width_s),
        served_per_s=_rate(counted["served"], width_s),
        latency_s=percentiles,
        failures_per_s={outcome: _rate(counted[outcome], width_s) for outcome in FAILURES},
        offered_range_per_s=_range(counted["offered"], width_s, duration_s),
        served_range_per_s=_range(counted["served"], width_s, duration_s),
        failed_range_per_s=_range(failed, width_s, duration_s),
        latency_range_s=latency_range_s,
    )


def _second(times_ns: NDArray[np.int64], start_ns: int) -> NDArray[np.int64]:
    return _bin(times_ns, start_ns, 1.0)


def _bin(times_ns: NDArray[np.int64], start_ns: int, bin_s: float) -> NDArray[np.int64]:
    return ((times_ns - start_ns) // round(bin_s * 1e9)).astype(np.int64)


def _counts(places: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    inside = places[(places >= 0) & (places < bins)]
    return np.bincount(inside, minlength=bins)


def _rate(by_second: NDArray[np.int64], width_s: int) -> Values:
    return tuple(float(n) / width_s for n in by_second.reshape(-1, width_s).sum(axis=1))


def _range(by_second: NDArray[np.int64], width_s: int, duration_s: float) -> Range:
    """Of the whole seconds of each bin; None in a bin without one."""
    whole = np.where(np.arange(len(by_second)) < math.floor(duration_s), by_second.astype(np.float64), np.nan).reshape(-1, width_s)
    parts = [row[~np.isnan(row)] for row in whole]
    lows = tuple(float(part.min()) if len(part) else None for part in parts)
    highs = tuple(float(part.max()) if len(part) else None for part in parts)
    return lows, highs


def _latency(history: History, bins: int, bin_s: float) -> tuple[dict[int, Values], Range]:
    """Exact percentiles and extremes of each bin, a stretch of bins at a time."""
    width_ns = round(bin_s * 1e9)
    asked = (*PERCENTILES, 0, 100)
    found: list[Sequence[float] | None] = []
    for first in range(0, bins, _BINS_AT_ONCE):
        last = min(bins, first + _BINS_AT_ONCE)
        start_ns = history.start_ns + first * width_ns
        finished = history.between(start_ns, history.start_ns + last * width_ns).through(_finished)
        places = finished.gather(lambda rows: _bin(rows["intended_ns"], start_ns, bin_s), np.int64)  # noqa: B023  # used at once
        latency_s = finished.gather(lambda rows: (rows["end_ns"] - rows["intended_ns"]) / 1e9, np.float64)
        order = np.argsort(places, kind="stable")
        borders = np.searchsorted(places[order], np.arange(last - first + 1))
        parts = [latency_s[order[a:b]] for a, b in pairwise(borders)]
        found.extend([float(v) for v in np.percentile(part, asked)] if len(part) else None for part in parts)
    of = {p: tuple(None if values is None else values[n] for values in found) for n, p in enumerate(asked)}
    return {p: of[p] for p in PERCENTILES}, (of[0], of[100])


def _finished(rows: Rows) -> Rows:
    kept: Rows = rows[(rows["outcome"] == Outcome.OK) | (rows["outcome"] == Outcome.TIMEOUT)]
    return kept
