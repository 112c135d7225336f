"""Service level indicators: request rows in, observations and values out.

An SLI is either a *share* (a score in 0..1 per request: availability, recall) or a *percentile* (a duration per request: latency). Both can
be read as a proportion of bad ones, which is what every significance test here works on: `latency_p95 <= 800ms` says that at most 5 % of
the requests may take longer than 800 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record.pieces import Requests, Rows
from harness.record.requests import Finish, Outcome
from harness.scenario.slis import SliName
from harness.scenario.units import Limit
from harness.score import quality, stats
from harness.score.context import Context
from harness.score.durations import DURATIONS
from harness.score.quality import QuestionTable
from harness.score.spans import NS_PER_S, Span

DROPPED_BY_GENERATOR = 1  # `drop_cause`
_SLICE_S = 1.0
_AT_ONCE = 1 << 18  # requests


@dataclass(frozen=True, slots=True)
class Observations:
    """One SLI's readings, at the intended start of each request: scores in 0..1 (shares) or whole nanoseconds (percentiles)."""

    t_ns: NDArray[np.int64]
    values: NDArray[Any]

    def within(self, span: Span) -> Observations:
        mask = (self.t_ns >= span.start_ns) & (self.t_ns < span.end_ns)
        return Observations(self.t_ns[mask], self.values[mask])

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Proportion:
    """An SLI with an absolute limit, as bad ones (0..1 per request) of which at most the share `allowed` may be bad."""

    t_ns: NDArray[np.int64]
    bad: NDArray[Any]
    allowed: float

    def count(self) -> stats.Block:
        """(bad, samples) of all."""
        return _block(float(self.bad.sum()), len(self.bad))

    def counts(self, spans: Sequence[Span]) -> list[stats.Block]:
        """(bad, samples) within each span. One pass for all of them, which may overlap."""
        borders = np.unique(np.array([(span.start_ns, span.end_ns) for span in spans], dtype=np.int64))
        bad, samples = np.zeros(len(borders) + 1), np.zeros(len(borders) + 1, dtype=np.int64)
        for start in range(0, len(self.t_ns), _AT_ONCE):
            place = np.searchsorted(borders, self.t_ns[start : start + _AT_ONCE], side="right")  # 0: before the first border
            bad += np.bincount(place, weights=self.bad[start : start + _AT_ONCE], minlength=len(bad))
            samples += np.bincount(place, minlength=len(bad))
        bad, samples = np.cumsum(bad), np.cumsum(samples)
        ends = [(np.searchsorted(borders, span.start_ns), np.searchsorted(borders, span.end_ns)) for span in spans]
        return [_block(float(bad[last] - bad[first]), int(samples[last] - samples[first])) for first, last in ends]


def _block(bad: float, samples: int) -> stats.Block:
    """Nine digits: scores such as 1/3 must add up alike in whatever order they came."""
    return (round(bad, 9), samples)


def arrivals(rows: Rows) -> Rows:
    """Rows that say something about the target: all but those that the generator itself failed to send."""
    mask = (rows["outcome"] != Outcome.DROPPED) | (rows["drop_cause"] != DROPPED_BY_GENERATOR)
    kept: Rows = rows if mask.all() else rows[mask]
    return kept


def due_ns(rows: Rows) -> NDArray[np.int64]:
    """When requests were due, which is where they belong."""
    due: NDArray[np.int64] = rows["intended_ns"].astype(np.int64)
    return due


def known_ns(rows: Rows) -> NDArray[np.int64]:
    """When it was known how requests ended: what an observer of that time could count."""
    return np.where(rows["end_ns"] > 0, rows["end_ns"], rows["intended_ns"]).astype(np.int64)


def observe(requests: Requests | Rows, sli: SliName, context: Context, at: Callable[[Rows], NDArray[np.int64]] = due_ns) -> Observations:
    """The readings of a share or percentile SLI. Raises KeyError for one that is neither (goodput, counts)."""
    requests = requests if isinstance(requests, Requests) else Requests.of(requests)
    if sli.family in _SEVERAL:
        found = [_observed(rows, sli, context, at) for rows in requests.pieces()] or [_NOTHING]
        return Observations(np.concatenate([o.t_ns for o in found]), np.concatenate([o.values for o in found]))
    t_ns = np.empty(requests.most, dtype=np.int64)
    values = np.empty(requests.most, dtype=np.int64 if sli.percentile else np.float64)
    filled = 0
    for rows in requests.pieces():
        one = _observed(rows, sli, context, at)
        t_ns[filled : filled + len(one)], values[filled : filled + len(one)] = one.t_ns, one.values
        filled += len(one)
    return Observations(t_ns[:filled], values[:filled])


def _observed(rows: Rows, sli: SliName, context: Context, at: Callable[[Rows], NDArray[np.int64]]) -> Observations:
    rows = arrivals(rows)
    if sli.percentile:
        timed = rows[(rows["outcome"] == Outcome.OK) | (rows["outcome"] == Outcome.TIMEOUT)]
        kept, values = DURATIONS[sli.family](timed, context)
        return Observations(at(kept), values)
    rows, scores = _scores(rows, sli, context)
    applicable = ~np.isnan(scores)
    return Observations(at(rows[applicable]), scores[applicable])


def value(observations: Observations, sli: SliName) -> float | None:
    """The SLI in base units (ratio, seconds); None without samples."""
    if len(observations) == 0:
        return None
    if sli.percentile:
        return stats.nearest_rank(observations.values, _percentile(sli)) / NS_PER_S
    return stats.total(observations.values) / len(observations)


def interval(observations: Observations, sli: SliName) -> tuple[float, float] | None:
    """A 95 % interval of the value; None where the sample carries none."""
    if len(observations) == 0:
        return None
    if sli.percentile:
        ends = stats.percentile_interval(observations.values, _percentile(sli))
        return (ends[0] / NS_PER_S, ends[1] / NS_PER_S) if ends else None
    return stats.share_interval(stats.total(observations.values), len(observations))


_SEVERAL = frozenset({"itl"})  # families with any number of readings a request
_NOTHING = Observations(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def bounds(sli: SliName, op: str) -> bool:
    """Does a limit in this direction say how many may be bad? `availability <= 50%` does not, nor does `==`."""
    return op in ((">=", ">") if sli.good == "higher" else ("<=", "<"))


def proportion(observations: Observations, sli: SliName, op: str, bound: float) -> Proportion | None:
    """The SLI and its limit as a share of bad requests; None for a limit that says no such thing."""
    if not bounds(sli, op):
        return None
    if sli.percentile:
        bound_ns = round(bound * NS_PER_S)
        over = observations.values > bound_ns if op == "<=" else observations.values >= bound_ns
        return Proportion(observations.t_ns, over, 1.0 - _percentile(sli) / 100.0)
    if sli.good == "higher":
        return Proportion(observations.t_ns, 1.0 - observations.values, max(0.0, 1.0 - bound))
    return Proportion(observations.t_ns, observations.values, bound)


def keeps(limit: Limit, measured: float, reference: float | None = None) -> bool:
    """`Limit.allows`, with nine digits: 99.9 / 100 is not 0.999 in binary, and must not fail a run."""
    allowed = Limit(limit.text, limit.op, round(limit.bound(reference), 9), limit.unit)
    return allowed.allows(round(measured, 9))


def held(rows: Rows, sli: SliName, limit: Limit, context: Context, span: Span) -> float | None:
    """For abort rules, on a growing record: the SLI's value when the limit was met in every second of the span, else None.

    `rows` are those known by now; a request belongs to the second in which it *ended* (what is still on its way says nothing yet). A second
    without samples breaks the condition: silence proves nothing.
    """
    ended_ns = known_ns(rows)
    count = max(1, int(span.length_s / _SLICE_S))
    borders = [span.start_ns + (span.end_ns - span.start_ns) * i // count for i in range(count + 1)]
    for start_ns, end_ns in pairwise(borders):
        found = value(observe(rows[(ended_ns >= start_ns) & (ended_ns < end_ns)], sli, context), sli)
        if found is None or not keeps(limit, found):
            return None
    return value(observe(rows[(ended_ns >= span.start_ns) & (ended_ns < span.end_ns)], sli, context), sli)


def goodput(requests: Requests | Rows, limits: Iterable[tuple[SliName, Limit]], context: Context, span: Span) -> float:
    """Requests a second that were served, and kept every absolute limit on a duration that applies to them."""
    absolute = [(sli, limit) for sli, limit in limits if sli.percentile and limit.of is None]
    requests = requests if isinstance(requests, Requests) else Requests.of(requests)
    return sum(_good(rows, absolute, context) for rows in requests.pieces()) / span.length_s


def _good(rows: Rows, limits: Iterable[tuple[SliName, Limit]], context: Context) -> int:
    good = rows[rows["outcome"] == Outcome.OK]
    for sli, limit in limits:
        kept, durations = DURATIONS[sli.family](good, context)
        slow = np.isin(good["seq"], kept["seq"][~(durations <= round(limit.value * NS_PER_S))])
        good = good[~slow]
    return len(good)


def _percentile(sli: SliName) -> float:
    if sli.argument is None:
        raise ValueError(f"{sli.text} names no percentile")
    return sli.argument


def _scores(rows: Rows, sli: SliName, context: Context) -> tuple[Rows, NDArray[np.float64]]:
    if sli.family == "availability":
        return rows, (rows["outcome"] == Outcome.OK).astype(np.float64)
    if sli.family == "complete":
        rows = context.counted(rows, sli.family)
        return rows, (rows["finish"] != Finish.NONE).astype(np.float64)
    asked = context.counted(rows[rows["question"] >= 0], sli.family)
    k = int(sli.argument or 0)
    if sli.family in _AT_K:
        return asked, _AT_K[sli.family](k)(asked, context.table)
    return asked, _SHARES[sli.family](asked, context.table)


_SHARES: dict[str, Callable[[Any, QuestionTable], NDArray[np.float64]]] = {
    "answered": quality.answered,
    "mrr": quality.reciprocal_rank,
    "degraded": quality.degraded,
    "degraded_honest": quality.degraded_honest,
    "citations_valid": quality.citations_valid,
    "wrong_answers": quality.wrong,
}
_AT_K = {"recall_at_k": quality.recall_at, "ndcg_at_k": quality.ndcg_at}
