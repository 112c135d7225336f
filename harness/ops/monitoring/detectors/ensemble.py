"""The default detector: several ways in which a value can be without precedent, each judged by its own records."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.ops.monitoring.detectors.base import reading
from harness.ops.monitoring.detectors.history import KEPT, History, Usual, period, usual
from harness.ops.monitoring.detectors.prediction import Predictor, fit
from harness.ops.monitoring.detectors.shapes import SHORTEST, Shapes
from harness.ops.monitoring.detectors.tail import Tail

PROBATION = 100  # points without a score; the records that scores are judged by are complete after about 300
_FIRST_FIT, _YOUNG, _REFIT_YOUNG, _REFIT = 50, 500, 50, 200
_LOOK_BACK = 1024
_ROLLING = 0.002  # weight of a new value in the rolling mean: about 1 000 points
_RECENT, _CALM = 0.04, 0.005  # likewise of a residual in the recent spread, and in the usual one
_ALARM = 1.5  # nats beyond the expected record
_REFRACTORY, _REFRACTORY_LEAST, _REFRACTORY_MOST = 0.05, 20, 400  # share of the points so far, points
_CERTAIN = 30.0  # nats at which every point is told, refractory period or not
_SOFTNESS = 4.0
_AFTERGLOW, _FADE = 0.7, 0.98


class Ensemble:
    """Six deviations, and the shape of a cycle:

    distance from the median; from the rolling mean of about 1 000 points; step; difference to a season ago; residual of a seasonal
    autoregression; spread of its residuals; and how long the value has not changed at all. Each has its own record (`Tail`), and what
    they say beyond it adds up. An alarm scores above 0.5; until the refractory period is over (5 % of the points so far, 20 to 400)
    what follows scores below, in its own order, unless it is beyond all doubt.

    `stagger` spreads the refits of many detectors that start together over different points.
    """

    def __init__(self, stagger: int = 0) -> None:
        self._history = History()
        self._usual = Usual()
        self._season = 0
        self._predictor: Predictor | None = None
        self._shapes: Shapes | None = None
        self._next_fit = _FIRST_FIT + stagger % _REFIT_YOUNG
        self._above, self._below = Tail(), Tail()
        self._risen, self._fallen = Tail(), Tail()
        self._steps, self._seasonal, self._residuals, self._spreads, self._stuck = Tail(), Tail(), Tail(), Tail(), Tail()
        self._mean = 0.0
        self._spread = self._calm_spread = 0.0
        self._unchanged = 0
        self._last_alarm = -_REFRACTORY_MOST
        self._afterglow = 0.0

    def update(self, t_s: float, value: float) -> float:  # noqa: ARG002  # the order of arrival counts, not the time
        """See `Detector.update`."""
        value = reading(value)
        if value != value:
            return 0.0
        history = self._history
        count = history.count
        if count == self._next_fit:
            self._fit()
        surprise = 0.0
        if count >= _FIRST_FIT:
            beyond, best = 0.0, -math.inf
            for one in self._surprises(value):
                if one > 0.0:
                    beyond += one
                if one > best:
                    best = one
            surprise = beyond or best
        else:
            self._mean += (value - self._mean) / (count + 1)
        history.add(value)
        return self._score(surprise) if count >= PROBATION else 0.0

    def _surprises(self, value: float) -> Iterator[float]:
        history, floor = self._history, self._usual.floor
        large = 3.0 * floor
        off = value - self._usual.median
        yield self._above.surprise(off, large) if off > 0.0 else self._below.surprise(-off, large)
        off = value - self._mean
        yield self._risen.surprise(off, large) if off > 0.0 else self._fallen.surprise(-off, large)
        self._mean += max(_ROLLING, 1.0 / (history.count + 1)) * off
        step = abs(value - history.ago(1))
        yield self._steps.surprise(step, large)
        self._unchanged = self._unchanged + 1 if step <= 0.02 * floor else 0
        yield self._stuck.surprise(float(self._unchanged), 5.0)
        season = self._season
        if season and history.count > season + 1:
            ago = history.ago
            yield self._seasonal.surprise(min(abs(value - ago(season)), abs(value - ago(season - 1)), abs(value - ago(season + 1))), large)
        if self._predictor is not None:
            residual = abs(value - self._predictor.predict(history))
            yield self._residuals.surprise(residual, large)
            yield self._spreads.surprise(self._spread_with(residual), floor)
        if self._shapes is not None:
            yield self._shapes.surprise(history)

    def _spread_with(self, residual: float) -> float:
        """The recent mean residual; one residual counts as at most eight usual ones, for a spike is no change of spread."""
        if self._calm_spread == 0.0:
            self._calm_spread = residual
        counted = min(residual, 8.0 * self._calm_spread + 1e-12) if self._history.count > 2 * PROBATION else residual
        self._spread += _RECENT * (counted - self._spread)
        self._calm_spread += _CALM * (counted - self._calm_spread)
        return self._spread

    def _fit(self) -> None:
        history = self._history
        count = history.count
        self._usual = usual(history.last(_LOOK_BACK))
        self._season = period(history.last(KEPT)) if count >= PROBATION else 0
        self._predictor = fit(history.last(KEPT if self._season else _LOOK_BACK), self._usual, self._season) or self._predictor
        if self._season < SHORTEST or count <= 3 * self._season:
            self._shapes = None
        elif self._shapes is None or self._shapes.length != self._season:
            self._shapes = Shapes(self._season, history, self._usual.scale)
        self._next_fit = count + (_REFIT_YOUNG if count < _YOUNG else _REFIT)

    def _score(self, surprise: float) -> float:
        count = self._history.count
        base = 1.0 / (1.0 + math.exp(-surprise / _SOFTNESS)) if surprise > -100.0 else 0.0
        refractory = min(max(_REFRACTORY_LEAST, int(_REFRACTORY * count)), _REFRACTORY_MOST)
        if surprise >= _ALARM and count - self._last_alarm > refractory:
            self._last_alarm, self._afterglow = count, _AFTERGLOW
            return 0.5 + 0.5 * base
        if surprise >= _CERTAIN:
            return 0.5 + 0.45 * base
        self._afterglow *= _FADE
        return 0.5 * max(base, self._afterglow)
