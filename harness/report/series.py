"""Requests and claims on the run's time axis, ready to be drawn: seconds from the start of the first phase."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record.history import History
from harness.record.requests import Outcome

MAX_BINS = 600  # beyond it bins grow wider than a second
PERCENTILES = (50, 95, 99)
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
    rows = history.requests
    intended = _bin(rows["intended_ns"], history.start_ns, bin_s)
    ended = _bin(rows["end_ns"], history.start_ns, bin_s)
    ok = rows["outcome"] == Outcome.OK
    return Series(
        start_s=0.0,
        bin_s=bin_s,
        offered_per_s=_rate(intended, bins, bin_s),
        served_per_s=_rate(ended[ok], bins, bin_s),
        latency_s=_percentiles(rows, intended, bins),
        failures_per_s={outcome: _rate(intended[rows["outcome"] == outcome], bins, bin_s) for outcome in FAILURES},
    )


def _bin(times_ns: NDArray[np.int64], start_ns: int, bin_s: float) -> NDArray[np.int64]:
    return ((times_ns - start_ns) // round(bin_s * 1e9)).astype(np.int64)


def _rate(places: NDArray[np.int64], bins: int, bin_s: float) -> Values:
    inside = places[(places >= 0) & (places < bins)]
    return tuple(float(n) / bin_s for n in np.bincount(inside, minlength=bins))


def _percentiles(rows: NDArray[Any], places: NDArray[np.int64], bins: int) -> dict[int, Values]:
    finished = (rows["outcome"] == Outcome.OK) | (rows["outcome"] == Outcome.TIMEOUT)
    latency_s = (rows["end_ns"] - rows["intended_ns"])[finished] / 1e9
    places = places[finished]
    order = np.argsort(places, kind="stable")
    borders = np.searchsorted(places[order], np.arange(bins + 1))
    by_bin = [latency_s[order[a:b]] for a, b in pairwise(borders)]
    return {p: tuple(float(np.percentile(part, p)) if len(part) else None for part in by_bin) for p in PERCENTILES}
