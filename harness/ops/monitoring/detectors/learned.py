"""Models of well-kept libraries, refitted on a sliding window: ARIMA, isolation forest, local outlier factor, one-class SVM.

They need the extra `detectors`, and are imported when the first of them is made. They are here to be compared with; the default
scores better.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from harness.ops.monitoring.detectors.base import reading, squash
from harness.ops.monitoring.detectors.history import History, Usual, Values, usual

PROBATION = 200
_WINDOW, _REFIT = 500, 200
_EMBEDDED = 8  # values in a row that the outlier models look at
_FARTHEST = 1e6  # scales: the models reckon in single precision
_LIMIT = 6.0  # robust standard deviations beyond the median of the window that score 0.5


class MissingExtraError(ImportError):
    """The package that a detector needs is not installed."""


def _module(name: str, package: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"this detector needs the package {package}: pip install 'rag-gauntlet[detectors]'") from error


class _Outliers:
    """Of the last eight values, in robust units; judged by how the model judges its own window."""

    def __init__(self) -> None:
        self._history = History()
        self._usual = Usual()
        self._model: Any = None
        self._calm = Usual()

    def update(self, t_s: float, value: float) -> float:  # noqa: ARG002  # the order of arrival counts
        """See `Detector.update`."""
        value = reading(value)
        if value != value:
            return 0.0
        history = self._history
        if history.count >= PROBATION and (history.count - PROBATION) % _REFIT == 0:
            self._fit(history.last(_WINDOW))
        history.add(value)
        if self._model is None:
            return 0.0
        row = self._scaled(history.last(_EMBEDDED))
        if float(np.abs(row).max()) < 1.0:  # within a scale of the median nothing is strange, however steady the window was
            return 0.0
        strange = float(-self._model.score_samples(row[None, :])[0])
        return squash(max(0.0, strange - self._calm.median) / max(self._calm.scale, self._calm.floor), _LIMIT)

    def _make(self) -> Any:
        raise NotImplementedError

    def _fit(self, values: Values) -> None:
        self._usual = usual(values)
        rows = np.lib.stride_tricks.sliding_window_view(self._scaled(values), _EMBEDDED)
        jittered = rows + 1e-3 * np.sin(np.arange(rows.size)).reshape(rows.shape)  # rows that are all the same have no density
        self._model = self._make().fit(jittered)
        self._calm = usual(-self._model.score_samples(jittered))

    def _scaled(self, values: Values) -> Values:
        scaled = (values - self._usual.median) / max(self._usual.scale, self._usual.floor)
        clipped: Values = np.clip(scaled, -_FARTHEST, _FARTHEST)
        return clipped


class IsolationForest(_Outliers):
    """Liu et al., ICDM 2008; a fixed seed."""

    def __init__(self) -> None:
        super().__init__()
        _module("sklearn.ensemble", "scikit-learn")

    def _make(self) -> Any:
        return _module("sklearn.ensemble", "scikit-learn").IsolationForest(n_estimators=50, random_state=0)


class LocalOutlierFactor(_Outliers):
    """Breunig et al., SIGMOD 2000; as a novelty detector."""

    def __init__(self) -> None:
        super().__init__()
        _module("sklearn.neighbors", "scikit-learn")

    def _make(self) -> Any:
        return _module("sklearn.neighbors", "scikit-learn").LocalOutlierFactor(n_neighbors=20, novelty=True)


class OneClassSvm(_Outliers):
    """Schölkopf et al. 2001; RBF kernel."""

    def __init__(self) -> None:
        super().__init__()
        _module("sklearn.svm", "scikit-learn")

    def _make(self) -> Any:
        return _module("sklearn.svm", "scikit-learn").OneClassSVM(nu=0.05, gamma="scale")


class Arima:
    """Residuals of an ARIMA(2, 0, 1), fitted anew every 200 points (Hannan and Rissanen 1982), and in between its own recursion."""

    def __init__(self) -> None:
        _module("statsmodels.tsa.arima.estimators.hannan_rissanen", "statsmodels")
        self._history = History()
        self._terms = (0.0, 0.0, 0.0, 0.0)  # mean, two autoregressive weights, one of the moving average
        self._residual = 0.0
        self._scale = 0.0

    def update(self, t_s: float, value: float) -> float:  # noqa: ARG002  # the order of arrival counts
        """See `Detector.update`."""
        value = reading(value)
        if value != value:
            return 0.0
        history = self._history
        if history.count >= PROBATION and (history.count - PROBATION) % _REFIT == 0:
            self._fit(history.last(_WINDOW))
        score = 0.0
        if self._scale > 0.0:
            mean, first, second, moving = self._terms
            guess = mean + first * (history.ago(1) - mean) + second * (history.ago(2) - mean) + moving * self._residual
            residual = value - guess
            self._residual = max(-3.0 * self._scale, min(3.0 * self._scale, residual))
            score = squash(abs(residual) / self._scale, _LIMIT)
        history.add(value)
        return score

    def _fit(self, values: Values) -> None:
        found = usual(values)
        unit = max(found.scale, found.floor)
        calm = (np.clip(values, found.low, found.high) - found.median) / unit
        if float(calm.std()) < 1e-6:
            self._terms, self._residual, self._scale = (found.median, 0.0, 0.0, 0.0), 0.0, unit
            return
        estimators = _module("statsmodels.tsa.arima.estimators.hannan_rissanen", "statsmodels")
        fitted, _ = estimators.hannan_rissanen(calm, ar_order=2, ma_order=1, demean=False)
        first, second = (float(p) for p in fitted.ar_params)
        moving = max(-0.95, min(0.95, float(fitted.ma_params[0])))  # or its own recursion would not forget
        residuals = np.zeros(len(calm))
        for i in range(2, len(calm)):
            residuals[i] = calm[i] - first * calm[i - 1] - second * calm[i - 2] - moving * residuals[i - 1]
        spread = usual(residuals[_EMBEDDED:])
        self._terms = (found.median, first, second, moving)
        self._residual = unit * float(residuals[-1])
        self._scale = max(unit * spread.scale, found.floor)
