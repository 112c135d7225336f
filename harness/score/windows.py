"""The worst window of a phase: every window of a length, wherever it starts, keeps the limit.

A window holds the requests that were due in it. What it holds changes only where a request comes in or goes out, so looking at the windows
that start there is looking at all of them: exact, and the time of it grows like n log n.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.scenario.slis import SliName
from harness.scenario.units import Limit
from harness.score import sli as slis
from harness.score import stats
from harness.score.check import Result, Status
from harness.score.show import show
from harness.score.sli import Observations
from harness.score.spans import NS_PER_S, Span, seconds
from harness.score.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Window:
    """Bad ones (0..1 each) and samples of one window."""

    start_ns: int
    bad: float
    samples: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What all windows of a phase come to. Of several equal ones, the first."""

    windows: int  # that differ in what they hold
    worst: Window | None  # the largest share of bad ones, among those with as many samples as are needed
    leanest: Window  # the fewest samples
    rejected: Window | None  # too few samples, and yet more bad ones than chance allows


def scan(found: Timeline, allowed: float, span: Span, length_s: float, needed: int) -> Scan:
    """Raises ValueError when no window of that length fits into the span."""
    length_ns = round(length_s * NS_PER_S)
    if length_ns > span.end_ns - span.start_ns:
        raise ValueError(f"a window of {length_s:g}s does not fit into {span.length_s:g}s")
    alpha = stats.ALPHA * length_ns / (span.end_ns - span.start_ns)  # shared by the windows that do not overlap
    result = Scan(0, None, Window(span.start_ns, 0.0, 2**62), None)
    for starts, bad, samples in _windows(found, span, length_ns):
        result = _merged(result, starts, bad, samples, needed, allowed, alpha)
    return result


def _windows(found: Timeline, span: Span, length_ns: int) -> Iterator[tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]]:
    """Starts, bad ones and samples of every window that differs from the one before, in time order."""
    for starts in found.changes((1, 1 - length_ns), Span(span.start_ns, span.end_ns - length_ns + 1)):
        first, after = np.searchsorted(found.t_ns, starts), np.searchsorted(found.t_ns, starts + length_ns)
        yield starts, found.bad(first, after), after - first


def _merged(
    so_far: Scan, starts: NDArray[Any], bad: NDArray[Any], samples: NDArray[Any], needed: int, allowed: float, alpha: float
) -> Scan:
    def at(n: int) -> Window:
        return Window(int(starts[n]), float(bad[n]), int(samples[n]))

    share = np.where(samples >= needed, bad / np.maximum(samples, 1), -1.0)
    worst, leanest = so_far.worst, at(int(np.argmin(samples)))
    candidate = int(np.argmax(share))
    if share[candidate] >= 0.0 and (worst is None or share[candidate] > worst.bad / worst.samples):
        worst = at(candidate)
    rejected = so_far.rejected
    if rejected is None:
        lean = np.flatnonzero((samples < needed) & (bad > allowed * samples))
        rejected = _rejected([at(int(n)) for n in _worst_of_each_size(lean, bad, samples)], allowed, alpha)
    return Scan(so_far.windows + len(starts), worst, min(so_far.leanest, leanest, key=lambda w: w.samples), rejected)


def _worst_of_each_size(indices: NDArray[Any], bad: NDArray[Any], samples: NDArray[Any]) -> NDArray[Any]:
    """Of windows with the same number of samples, the first with most bad ones: chance excludes it if it excludes any of them."""
    order = indices[np.lexsort((indices, -bad[indices], samples[indices]))]
    _, first = np.unique(samples[order], return_index=True)
    return order[first]


def _rejected(windows: list[Window], allowed: float, alpha: float) -> Window | None:
    found = (w for w in windows if w.samples and stats.at_least(w.bad, w.samples, allowed) <= alpha)
    return max(found, key=lambda w: (w.bad / w.samples, -w.start_ns), default=None)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where windows are looked for: the span, the length of a window, and when the run began."""

    span: Span
    length_s: float
    origin_ns: int

    def told(self, window: Window) -> str:
        return f"the {self.length_s:g}s from {seconds(self.origin_ns, window.start_ns):g}s"


def judge_windows(blank: Result, observations: Observations, sli: SliName, limit: Limit, stretch: Stretch, needed: int) -> Result:
    """A share or a percentile against a fixed limit, in every window that has `needed` samples; one that has fewer proves nothing."""
    proportion = slis.proportion(observations, sli, limit.op, limit.value)
    if proportion is None:
        raise ValueError(f"{limit.op} is not the good direction of {sli.text}")
    if stretch.span.length_s < stretch.length_s:
        reason = f"no window of {stretch.length_s:g}s fits into the {stretch.span.length_s:g}s that were recorded"
        return replace(blank, samples=len(observations), reason=reason)
    found = scan(Timeline.of(proportion), proportion.allowed, stretch.span, stretch.length_s, needed)
    worst = _shown(blank, observations, sli, limit, stretch, found.worst)
    if worst is not None and worst.status is Status.FAIL:
        return worst
    if found.rejected is not None and (few := _shown(blank, observations, sli, limit, stretch, found.rejected)) is not None:
        return replace(few, status=Status.FAIL, reason=f"{few.reason}; few samples, yet more bad ones than chance allows")
    if found.leanest.samples < needed or worst is None:
        reason = f"{stretch.told(found.leanest)} have {found.leanest.samples} samples; {limit.text} needs {needed} in every window"
        return replace(worst or replace(blank, samples=found.leanest.samples), status=Status.INCONCLUSIVE, reason=reason)
    return worst


def _shown(blank: Result, observations: Observations, sli: SliName, limit: Limit, stretch: Stretch, window: Window | None) -> Result | None:
    """One window, judged by its measured value."""
    if window is None:
        return None
    held = observations.within(Span(window.start_ns, window.start_ns + round(stretch.length_s * NS_PER_S)))
    measured = slis.value(held, sli)
    if measured is None:
        raise ValueError("a window that has samples has a value")
    kept, ends = slis.keeps(limit, measured), slis.interval(held, sli)
    value = stats.rounded(measured)
    reason = f"{show(value, sli.unit)} {'keeps' if kept else 'breaks'} {limit.text} at worst, in {stretch.told(window)}, n={len(held)}"
    return replace(
        blank,
        status=Status.PASS if kept else Status.FAIL,
        value=value,
        samples=len(held),
        interval=(stats.rounded(ends[0]), stats.rounded(ends[1])) if ends else None,
        reason=reason,
    )
