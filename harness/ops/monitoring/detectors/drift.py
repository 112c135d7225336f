"""Has a distribution changed? Statistics of two samples, with thresholds that depend on their sizes, and detectors over a stream."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import numpy.typing as npt

from harness.ops.monitoring.detectors.base import reading
from harness.ops.monitoring.detectors.history import Values

_SIGNIFICANT = 1e-3
_BINS = 10
_THRESHOLD = 0.5


def ks(reference: Values, recent: Values) -> tuple[float, float]:
    """Two-sample Kolmogorov-Smirnov: the statistic in [0, 1], and its asymptotic p-value (Stephens' correction)."""
    both = np.concatenate((reference, recent))
    ranked = [np.sort(reference), np.sort(recent)]
    shares = [np.searchsorted(one, both, side="right") / len(one) for one in ranked]
    statistic = float(np.max(np.abs(shares[0] - shares[1])))
    size = math.sqrt(len(reference) * len(recent) / (len(reference) + len(recent)))
    scaled = (size + 0.12 + 0.11 / size) * statistic
    if scaled < 0.2:
        return statistic, 1.0
    terms = np.arange(1, 101)
    return statistic, float(min(1.0, max(0.0, 2.0 * np.sum((-1.0) ** (terms - 1) * np.exp(-2.0 * (terms * scaled) ** 2)))))


def _shares(reference: Values, recent: Values, bins: int) -> tuple[Values, Values]:
    """Shares per bin between quantiles of the reference; half a count is added, so that no bin is empty."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1]))
    counted = [np.bincount(np.searchsorted(edges, x, side="left"), minlength=len(edges) + 1) + 0.5 for x in (reference, recent)]
    return counted[0] / counted[0].sum(), counted[1] / counted[1].sum()


def psi(reference: Values, recent: Values, bins: int = _BINS) -> tuple[float, float]:
    """Population stability index, and the threshold that chance exceeds once in 1 000: (1/n + 1/m) chi²(B - 1) (Yurdakul 2018)."""
    p, q = _shares(reference, recent, bins)
    index = float(np.sum((p - q) * np.log(p / q)))
    return index, (1.0 / len(reference) + 1.0 / len(recent)) * _chi_squared(max(1, len(p) - 1))


def js(reference: Values, recent: Values, bins: int = _BINS) -> tuple[float, float]:
    """Jensen-Shannon divergence in nats, and its threshold: for small changes it is an eighth of the PSI."""
    p, q = _shares(reference, recent, bins)
    middle = (p + q) / 2
    divergence = float(np.sum(p * np.log(p / middle) + q * np.log(q / middle))) / 2
    return divergence, (1.0 / len(reference) + 1.0 / len(recent)) * _chi_squared(max(1, len(p) - 1)) / 8.0


def _chi_squared(freedom: int) -> float:
    """The quantile at 0.999; from three degrees of freedom on by Wilson and Hilferty's approximation, within 1.5 %."""
    if freedom < 3:
        return (10.828, 13.816)[freedom - 1]
    ninth = 2.0 / (9.0 * freedom)
    return float(freedom * (1.0 - ninth + 3.0902 * math.sqrt(ninth)) ** 3)


def mmd(
    reference: Values, recent: Values, rng: np.random.Generator, permutations: int = 200, give_up_at: int | None = None
) -> tuple[float, float]:
    """Maximum mean discrepancy of rows (an RBF kernel, median heuristic), and its permutation p-value (Gretton et al., JMLR 2012).

    One-dimensional samples are columns. At least 1 / (permutations + 1). With `give_up_at` it is known to be large once so many
    permutations were as large, and no more are tried (Besag and Clifford, Biometrika 1991): a calm stream costs little.
    """
    rows = [x[:, None] if x.ndim == 1 else x for x in (reference, recent)]
    both = np.concatenate(rows)
    squared = np.sum(both * both, axis=1)
    distances = np.maximum(squared[:, None] + squared[None, :] - 2.0 * both @ both.T, 0.0)
    typical = float(np.median(distances[np.triu_indices_from(distances, 1)]))
    kernel = np.exp(-distances / (typical or 1.0))
    first = np.zeros(len(both))
    first[: len(rows[0])] = 1.0
    found = _discrepancy(kernel, first)
    as_large = 0
    for tried in range(1, permutations + 1):
        as_large += _discrepancy(kernel, rng.permutation(first)) >= found - 1e-12
        if as_large == give_up_at:
            return found, as_large / tried
    return found, (1 + as_large) / (1 + permutations)


def _discrepancy(kernel: npt.NDArray[np.float64], first: Values) -> float:
    signed = first / first.sum() - (1.0 - first) / (1.0 - first).sum()
    return float(signed @ kernel @ signed)


class Adwin:
    """Adaptive windowing (Bifet and Gavaldà, SDM 2007): the mean of a stream has changed when two parts of its window differ too much.

    Buckets of growing size keep the window in logarithmic memory. Scores 1 at a change, else 0. The bound is scaled by the variance seen,
    so that no unit matters.
    """

    def __init__(self, delta: float = 0.002, every: int = 8, most_a_size: int = 5) -> None:
        self._delta, self._every, self._most = delta, every, most_a_size
        self._levels: list[deque[tuple[float, float]]] = [deque()]  # (sum, sum of squared deviations) of 2**level values, newest first
        self._count = 0

    @property
    def width(self) -> int:
        """Values in the window."""
        return sum(len(level) << k for k, level in enumerate(self._levels))

    def update(self, t_s: float, value: float) -> float:  # noqa: ARG002  # the order of arrival counts
        """See `Detector.update`."""
        value = reading(value)
        if value != value:
            return 0.0
        self._levels[0].appendleft((value, 0.0))
        self._compress()
        self._count += 1
        changed = False
        while self._count % self._every == 0 and self._cut():
            changed = True
        return float(changed)

    def _compress(self) -> None:
        for k, level in enumerate(self._levels):
            if len(level) <= self._most:
                return
            (sum_a, squares_a), (sum_b, squares_b) = level.pop(), level.pop()
            size = 1 << k
            apart = (sum_a - sum_b) / size
            if k + 1 == len(self._levels):
                self._levels.append(deque())
            self._levels[k + 1].appendleft((sum_a + sum_b, squares_a + squares_b + apart * apart * size / 2))
            if k > 40:
                self._levels[k + 1].pop()

    def _cut(self) -> bool:
        """Drop the oldest bucket if some split says that the mean has changed."""
        buckets = [(1 << k, *bucket) for k, level in enumerate(self._levels) for bucket in level]  # newest first
        width, total = sum(b[0] for b in buckets), sum(b[1] for b in buckets)
        if width < 32:
            return False
        mean = total / width
        variance = sum(squares + n * (s / n - mean) ** 2 for n, s, squares in buckets) / width
        confidence = math.log(2.0 * math.log(width) / self._delta)
        count = subtotal = 0.0
        floor = 1e-9 * abs(mean) + 1e-12
        for n, s, _ in buckets[:-1]:
            count, subtotal = count + n, subtotal + s
            if count < 5 or width - count < 5:
                continue
            harmonic = 1.0 / (1.0 / (count - 4) + 1.0 / (width - count - 4))
            bound = math.sqrt(2.0 / harmonic * variance * confidence) + 2.0 / (3.0 * harmonic) * math.sqrt(variance) * confidence + floor
            if abs(subtotal / count - (total - subtotal) / (width - count)) > bound:
                next(level for level in reversed(self._levels) if level).pop()
                while len(self._levels) > 1 and not self._levels[-1]:
                    self._levels.pop()
                return True
        return False


class Sliding:
    """One of the two-sample statistics over a stream: a reference of 300 values, and the last 100; looked at every 25.

    The score is below 0.5 up to the threshold. It is above at each look, and grows with what has changed, until all that is recent came
    after the change was first seen; then that becomes the reference.
    """

    def __init__(self, statistic: str, reference: int = 300, recent: int = 100, every: int = 25) -> None:
        self._measure = {"ks": _ks_excess, "psi": _psi_excess, "js": _js_excess}[statistic]
        self._size, self._every = reference, every
        self._reference: list[float] = []
        self._recent: deque[float] = deque(maxlen=recent)
        self._count = 0
        self._changed_at: int | None = None  # of the count, when the threshold was first passed
        self._score = 0.0

    def update(self, t_s: float, value: float) -> float:  # noqa: ARG002  # the order of arrival counts
        """See `Detector.update`."""
        value = reading(value)
        if value != value:
            return 0.0
        if len(self._reference) < self._size:
            self._reference.append(value)
            return 0.0
        self._recent.append(value)
        self._count += 1
        if len(self._recent) == self._recent.maxlen and self._count % self._every == 0:
            excess = self._measure(np.array(self._reference), np.array(self._recent))
            self._score = excess / (1.0 + excess) if excess > 0.0 else 0.0
            if excess <= 1.0:
                self._changed_at = None
            elif self._changed_at is None:
                self._changed_at = self._count
            elif self._count - self._changed_at >= len(self._recent) - self._every:
                self._reference, self._changed_at = list(self._recent), None
                self._recent.clear()
                told, self._score = self._score, 0.0
                return told
            return self._score
        return min(self._score, _THRESHOLD)  # nothing new is known between two looks


def _ks_excess(reference: Values, recent: Values) -> float:
    p = ks(reference, recent)[1]
    return math.log(max(p, 1e-300)) / math.log(_SIGNIFICANT)


def _psi_excess(reference: Values, recent: Values) -> float:
    index, threshold = psi(reference, recent)
    return index / threshold


def _js_excess(reference: Values, recent: Values) -> float:
    divergence, threshold = js(reference, recent)
    return divergence / threshold
