"""By how much did a series move at an onset that may be known too late? In units that depend neither on its unit nor on its noise."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

LATE_S = 75.0  # an onset is told up to a minute late: that long before it nothing counts as calm
BEFORE_S = 1800.0  # a baseline is recent
AFTER_S = 600.0
_LEAST_ROWS = 8
_BLOCKS = 12  # of the time after onset
_LEAST_BLOCK = 3  # rows


@dataclass(frozen=True, slots=True)
class Spans:
    """Rows before the onset that are surely calm, and rows after it; cut into blocks."""

    before: slice
    after: slice
    block: int  # rows

    @property
    def whole(self) -> slice:
        return slice(self.before.start, self.after.stop)


def spans(times_s: Values, onset_s: float) -> Spans | None:
    """None where there are fewer than 8 rows before, or 3 after the onset."""
    at = int(np.searchsorted(times_s, onset_s))
    stop = int(np.searchsorted(times_s, onset_s + AFTER_S, side="right"))
    start = int(np.searchsorted(times_s, onset_s - LATE_S - BEFORE_S))
    calm = int(np.searchsorted(times_s, onset_s - LATE_S))
    if calm - start < _LEAST_ROWS:  # coarse, or short: rather a baseline with a little of the fault in it than none
        calm = at
    if calm - start < _LEAST_ROWS or stop - at < _LEAST_BLOCK:
        return None
    return Spans(slice(start, calm), slice(at, stop), max(_LEAST_BLOCK, (stop - at) // _BLOCKS))


@dataclass(frozen=True, slots=True)
class Shift:
    """`up` and `down` are >= 0, in scales; `usual` and `now` are the values behind the larger of them."""

    up: float
    down: float
    usual: float
    now: float


NONE = Shift(0.0, 0.0, 0.0, 0.0)


def shift(values: Values, where: Spans) -> Shift:
    """Medians of blocks after onset against the median before it, over max(IQR / 1.349, 0.1 sigma, 0.05 |median|); less what blocks before
    the onset moved anyway. The second largest block counts, for one block is an accident.

    Where half of the values are one and the same (errors, most of the time), means of blocks and their standard error take their place.
    """
    before, after = values[where.before], values[where.after]
    known = before[np.isfinite(before)]
    if len(known) < _LEAST_ROWS or not np.isfinite(after).any():
        return NONE
    low, median, high = (float(q) for q in np.quantile(known, (0.25, 0.5, 0.75)))
    floor = max(0.05 * abs(median), 0.01 * _largest(values[where.whole]))
    steady = high > low and median != 0.0
    if steady:
        usual, scale = median, max((high - low) / 1.349, 0.1 * float(known.std()), floor)
    else:
        usual = float(known.mean())
        scale = max(max(float(known.std()), _one_event(values[where.whole], median, len(known))) / np.sqrt(where.block), floor)
    of_blocks: Callable[..., Values] = np.nanmedian if steady else np.nanmean
    if scale <= 0.0:
        return NONE
    now, then = _blocks(after, where.block, of_blocks), _blocks(before, where.block, of_blocks)
    up, down = _second(now) - usual, usual + _second(-now)
    usual_up, usual_down = (_second(then) - usual, usual + _second(-then)) if len(then) else (0.0, 0.0)
    more, less = max(0.0, up - max(0.0, usual_up)) / scale, max(0.0, down - max(0.0, usual_down)) / scale
    return Shift(more, less, usual, usual + up if more >= less else usual - down)


def _largest(values: Values) -> float:
    seen = np.abs(values[np.isfinite(values)])
    return float(seen.max()) if len(seen) else 0.0


def _one_event(values: Values, common: float, rows: int) -> float:
    """The deviation that one more event among the rows before would have made: that none was seen does not say that there are none."""
    apart = np.abs(values[np.isfinite(values)] - common)
    apart = apart[apart > 0]
    return float(apart.min()) / np.sqrt(rows) if len(apart) else 0.0


def _second(reduced: Values) -> float:
    ranked = np.sort(reduced)
    return float(ranked[-2] if len(ranked) > 2 else ranked[-1])


def _blocks(values: Values, block: int, reduce: Callable[..., Values]) -> Values:
    """One value a block; blocks without any are left out."""
    rows = max(1, len(values) // block)
    cut = values[: rows * block] if len(values) >= block else values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of blocks without any value
        reduced = reduce(cut.reshape(rows, -1), axis=1)
    kept: Values = reduced[np.isfinite(reduced)]
    return kept
