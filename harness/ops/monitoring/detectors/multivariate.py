"""Several series at once: MEWMA (Lowry et al. 1992) and PCA with T² and Q (Jackson and Mudholkar 1979)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from harness.ops.monitoring.detectors.base import reading, squash
from harness.ops.monitoring.detectors.history import Values, usual

PROBATION = 100
_WINDOW, _REFIT = 500, 100
_SHRINKAGE = 0.1  # of the correlation towards independence
_LIMIT = 4.0  # times the root of the degrees of freedom that scores 0.5


class _Window:
    """The last 500 whole rows, each column by its own robust centre and scale."""

    def __init__(self) -> None:
        self.rows: deque[Values] = deque(maxlen=_WINDOW)
        self.count = 0
        self._centre = self._scale = np.zeros(0)

    def take(self, values: Sequence[float]) -> Values | None:
        """The row, or None where a value is missing. Raises ValueError when the number of columns changes."""
        row = np.array([reading(value) for value in values])
        if self.rows and row.shape != self.rows[0].shape:
            raise ValueError(f"a row of {row.size} values where there were {self.rows[0].size}")
        return row if row.size and bool(np.isfinite(row).all()) else None

    def add(self, row: Values) -> None:
        self.rows.append(row)
        self.count += 1

    def due(self) -> bool:
        return self.count >= PROBATION and (self.count - PROBATION) % _REFIT == 0

    def standardised(self) -> Values:
        """Fits centre and scale, and gives all rows in their units; far values count as at most four scales."""
        table = np.array(self.rows)
        found = [usual(column) for column in table.T]
        self._centre = np.array([one.median for one in found])
        self._scale = np.array([max(one.scale, one.floor) for one in found])
        clipped: Values = np.clip(self.in_scales(table), -4.0, 4.0)
        return clipped

    def in_scales(self, row: Values) -> Values:
        scaled: Values = (row - self._centre) / self._scale
        return scaled


def _correlation(table: Values) -> Values:
    """Second moments, shrunk towards their diagonal; never singular."""
    moments: Values = table.T @ table / len(table)
    diagonal = np.diag(np.maximum(np.diag(moments), 0.01))
    shrunk: Values = (1.0 - _SHRINKAGE) * moments + _SHRINKAGE * diagonal + 1e-6 * np.eye(len(moments))
    return shrunk


class Mewma:
    """Smoothed rows (weight 0.2) and their Mahalanobis distance, under a shrunk covariance of the last 500 rows."""

    def __init__(self, weight: float = 0.2) -> None:
        self._weight = weight
        self._window = _Window()
        self._inverse: Values = np.zeros((0, 0))
        self._smooth: Values = np.zeros(0)

    def update(self, t_s: float, values: Sequence[float]) -> float:  # noqa: ARG002  # the order of arrival counts
        """See `MultivariateDetector.update`."""
        window = self._window
        row = window.take(values)
        if row is None:
            return 0.0
        if window.due():
            self._inverse = np.asarray(np.linalg.inv(_correlation(window.standardised())), dtype=np.float64)
        window.add(row)
        self._smooth = row if window.count == 1 else self._smooth + self._weight * (row - self._smooth)
        if window.count <= PROBATION:
            return 0.0
        off = window.in_scales(self._smooth)
        squared = float(off @ self._inverse @ off) * (2.0 - self._weight) / self._weight
        return squash(squared**0.5, _LIMIT * row.size**0.5)


class Pca:
    """T² within the components that carry 90 % of the variance, Q beside them; the larger of the two counts."""

    def __init__(self, explained: float = 0.9) -> None:
        self._explained = explained
        self._window = _Window()
        self._vectors = np.zeros((0, 0))
        self._variances = np.zeros(0)
        self._rest = 1.0

    def update(self, t_s: float, values: Sequence[float]) -> float:  # noqa: ARG002  # the order of arrival counts
        """See `MultivariateDetector.update`."""
        window = self._window
        row = window.take(values)
        if row is None:
            return 0.0
        if window.due():
            self._fit(window.standardised())
        window.add(row)
        if window.count <= PROBATION:
            return 0.0
        off = window.in_scales(row)
        along = self._vectors.T @ off
        inside = float(np.sum(along * along / self._variances)) / len(along)
        beside = off - self._vectors @ along
        outside = float(beside @ beside) / self._rest
        return squash(max(inside, outside) ** 0.5, _LIMIT)

    def _fit(self, table: Values) -> None:
        variances, vectors = np.linalg.eigh(_correlation(table))
        variances, vectors = variances[::-1], vectors[:, ::-1]
        kept = 1 + int(np.searchsorted(np.cumsum(variances) / variances.sum(), self._explained))
        self._variances, self._vectors = variances[:kept], vectors[:, :kept]
        self._rest = max(float(variances[kept:].sum()), 0.05)
