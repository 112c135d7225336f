"""The next value from the last ones and from those a season ago."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.ops.monitoring.detectors.history import History, Usual, Values

_ROWS = 1000  # that a fit uses at most
_ENOUGH = 60  # rows below which nothing is fitted
_OUTLIER = 4.0  # robust standard deviations beyond which a row does not count in the second fit


@dataclass(frozen=True, slots=True)
class Predictor:
    """Linear in deviations from the median: an autoregression of order 3, with a season where there is one."""

    median: float
    terms: tuple[tuple[int, float], ...]  # lag, weight

    def predict(self, history: History) -> float:
        """The next value."""
        median = self.median
        guess = median
        for lag, weight in self.terms:
            guess += weight * (history.ago(lag) - median)
        return guess


def fit(values: Values, usual: Usual, season: int) -> Predictor | None:
    """Least squares with a small ridge, twice: the second time without outliers. None where there are too few values."""
    lags = (1, 2, 3, season - 1, season, season + 1) if season > 4 else (1, 2, 3)
    longest = max(lags)
    if len(values) <= longest + _ENOUGH:
        return None
    calm = np.clip(values, usual.low, usual.high) - usual.median
    columns = np.stack([calm[longest - lag : len(calm) - lag] for lag in lags], axis=1)[-_ROWS:]
    target = calm[longest:][-_ROWS:]
    weights: Values = _ridge(columns, target)
    residual = np.abs(target - columns @ weights)
    kept = residual < _OUTLIER * 1.4826 * (np.median(residual) + 1e-12)
    if kept.sum() > 5 * len(lags):
        weights = _ridge(columns[kept], target[kept])
    return Predictor(usual.median, tuple(zip(lags, weights.tolist(), strict=True)))


def _ridge(columns: Values, target: Values) -> Values:
    gram = columns.T @ columns
    gram[np.diag_indices_from(gram)] += 1e-3 * np.trace(gram) / len(gram) + 1e-12
    return np.asarray(np.linalg.solve(gram, columns.T @ target), dtype=np.float64)
