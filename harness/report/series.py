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


@dataclass(frozen=True, slots=True)
class Series:
    """Bins of `bin_s` seconds from `start_s` on. All tuples are equally long; None where a bin has no sample."""

    start_s: float
    bin_s: float
    offered_per_s: Values  # by intended start
    served_per_s: Values  # by end, outcome ok
    latency_s: Mapping[int, Values]  # percentile -> value, over ok and timeout, by intended start
    failures_per_s: Mapping[Outcome, Values]  # by intended start

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
    """Bin the requests of a run."""
    duration_s = length_s(history)
    bin_s = float(max(1, math.ceil(duration_s / MAX_BINS)))
    bins = math.ceil(duration_s / bin_s)
    offered, served = np.zeros(bins, dtype=np.int64), np.zeros(bins, dtype=np.int64)
    failed = {outcome: np.zeros(bins, dtype=np.int64) for outcome in FAILURES}
    for rows in history.requests.pieces():
        intended = _bin(rows["intended_ns"], history.start_ns, bin_s)
        offered += _counts(intended, bins)
        served += _counts(_bin(rows["end_ns"], history.start_ns, bin_s)[rows["outcome"] == Outcome.OK], bins)
        for outcome, counted in failed.items():
            counted += _counts(intended[rows["outcome"] == outcome], bins)
    return Series(
        start_s=0.0,
        bin_s=bin_s,
        offered_per_s=_rate(offered, bin_s),
        served_per_s=_rate(served, bin_s),
        latency_s=_percentiles(history, bins, bin_s),
        failures_per_s={outcome: _rate(counted, bin_s) for outcome, counted in failed.items()},
    )


def _bin(times_ns: NDArray[np.int64], start_ns: int, bin_s: float) -> NDArray[np.int64]:
    return ((times_ns - start_ns) // round(bin_s * 1e9)).astype(np.int64)


def _counts(places: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    inside = places[(places >= 0) & (places < bins)]
    return np.bincount(inside, minlength=bins)


def _rate(counts: NDArray[np.int64], bin_s: float) -> Values:
    return tuple(float(n) / bin_s for n in counts)


def _percentiles(history: History, bins: int, bin_s: float) -> dict[int, Values]:
    """Exact ones of each bin, a stretch of bins at a time."""
    width_ns = round(bin_s * 1e9)
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
        found.extend([float(v) for v in np.percentile(part, PERCENTILES)] if len(part) else None for part in parts)
    return {p: tuple(None if values is None else values[n] for values in found) for n, p in enumerate(PERCENTILES)}


def _finished(rows: Rows) -> Rows:
    kept: Rows = rows[(rows["outcome"] == Outcome.OK) | (rows["outcome"] == Outcome.TIMEOUT)]
    return kept
