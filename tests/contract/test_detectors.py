"""What every detector promises: causal, bounded, silent on what is constant, and blind to units."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest

from harness.ops.monitoring.detectors import registry
from harness.ops.monitoring.detectors.base import Detector

ONE_SERIES = {**registry.BUILT_IN}
NEEDS = {"arima": "statsmodels", "isolation_forest": "sklearn", "lof": "sklearn", "one_class_svm": "sklearn"}
DRIFT = {"adwin", "ks", "psi", "js", "mmd"}  # these tell changes that last, not single points


class Columns:
    """A detector of many series, fed with one: the value, and what it was before."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._made = make()
        self._before = 0.0

    def update(self, t_s: float, value: float) -> float:
        row = (value, self._before)
        self._before = value if math.isfinite(value) else self._before
        return self._made.update(t_s, row)  # type: ignore[attr-defined,no-any-return]


ALL: dict[str, Callable[[], Detector]] = {**ONE_SERIES, **{name: partial(Columns, make) for name, make in registry.MULTIVARIATE.items()}}
every_detector = pytest.mark.parametrize("name", sorted(ALL))


def new(name: str) -> Detector:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    return ALL[name]()


def scores(name: str, values: Sequence[float]) -> list[float]:
    return list(_scores(name, tuple(float(value) for value in values)))


@cache
def _scores(name: str, values: tuple[float, ...]) -> tuple[float, ...]:
    detector = new(name)
    return tuple(detector.update(float(i), value) for i, value in enumerate(values))


def series(n: int = 900, seed: int = 3) -> np.ndarray:
    """A rhythm of 60 points with noise; a level that changes at 700."""
    rng = np.random.default_rng(seed)
    values = 50 + 5 * np.sin(np.arange(n) * 2 * np.pi / 60) + rng.normal(0, 1, n)
    values[700:] += 25
    return values


@every_detector
def test_what_comes_later_changes_nothing(name: str) -> None:
    values = series()
    assert scores(name, values[:710]) == scores(name, values)[:710]


@every_detector
def test_scores_lie_between_0_and_1_whatever_comes(name: str) -> None:
    values = series()
    values[300], values[301], values[302], values[303] = 1e300, -1e300, math.inf, math.nan
    values[400:480] = 0.0
    found = scores(name, values)
    assert all(0.0 <= s <= 1.0 for s in found)
    assert found[302] == found[303] == 0.0


@every_detector
@pytest.mark.parametrize("constant", [0.0, 7.0, -3e9, 1e-7])
def test_what_is_constant_but_for_float_noise_is_silent(name: str, constant: float) -> None:
    noise = np.random.default_rng(1).normal(0, 1e-13, 600)
    assert max(scores(name, constant * (1 + noise))) < 0.5


@every_detector
def test_a_change_that_lasts_is_seen(name: str) -> None:
    found = scores(name, series())
    assert max(found[700:900]) > 0.5
    assert max(found[700:900]) >= max(found[:700])


@every_detector
def test_the_unit_does_not_matter(name: str) -> None:
    values = series()
    assert scores(name, values * 1024) == pytest.approx(scores(name, values), abs=0.02)


@every_detector
def test_a_shift_of_zero_matters_little(name: str) -> None:
    """Up to the floor, which is relative to the level."""
    values = series()
    plain, moved = np.array(scores(name, values)), np.array(scores(name, values + 30))
    assert np.mean(np.abs(plain - moved)) < 0.05


@every_detector
def test_memory_is_bounded(name: str) -> None:
    """Once everything that is remembered is full, nothing grows."""
    detector = new(name)
    last = 1999 if name in NEEDS else 5999
    rng = np.random.default_rng(5)
    sizes = []
    for i in range(last + 1):
        detector.update(float(i), float(rng.normal()))
        if i in (last // 2, last):
            sizes.append(len(pickle.dumps(detector)))
    assert sizes[1] < 1.5 * sizes[0]
    assert name in NEEDS or sizes[1] < 110_000


@every_detector
def test_missing_values_teach_nothing(name: str) -> None:
    if name in registry.MULTIVARIATE:
        pytest.skip("the stand-in pairs values with the ones before")
    values = series()
    with_holes = np.insert(values, [200, 500, 650], math.nan)
    kept = [s for s, value in zip(scores(name, with_holes), with_holes, strict=True) if not math.isnan(value)]
    assert kept == scores(name, values)


def test_calm_noise_makes_few_alarms() -> None:
    alarms = sum(s > 0.5 for seed in range(10) for s in scores("ensemble", np.random.default_rng(seed).normal(10, 1, 1500)))
    assert alarms <= 10


def test_many_detectors_may_refit_at_different_points() -> None:
    from harness.ops.monitoring.detectors.ensemble import Ensemble

    detector = Ensemble(stagger=17)
    found = [detector.update(float(i), float(v)) for i, v in enumerate(series())]
    assert found[700] > 0.5 or max(found[700:705]) > 0.5


def _points(value: str) -> Callable[..., EntryPoints]:
    point = EntryPoint(name="ours", value=value, group=registry.GROUP)
    return lambda **_: EntryPoints((point,))


def test_a_detector_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", _points("harness.ops.monitoring.detectors.charts:Ewma"))
    assert "ours" in registry.names() and registry.create("ours").update(0.0, 1.0) == 0.0
    monkeypatch.setattr(registry, "entry_points", _points("harness.nowhere:Nothing"))
    with pytest.raises(
        registry.UnknownDetectorError, match=r"the detector 'ours' \(harness.nowhere:Nothing\) cannot be made: ModuleNotFound"
    ):
        registry.create("ours")


@pytest.mark.parametrize(("name", "module"), sorted(NEEDS.items()))
def test_without_its_package_a_detector_says_what_to_install(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("sklearn.ensemble", "sklearn.neighbors", "sklearn.svm", "statsmodels.tsa.arima.estimators.hannan_rissanen"):
        if part.startswith(module):
            monkeypatch.setitem(__import__("sys").modules, part, None)
    with pytest.raises(registry.UnknownDetectorError, match="pip install 'rag-gauntlet\\[detectors\\]'"):
        registry.create(name)


def test_rows_of_another_width_are_refused() -> None:
    for make in registry.MULTIVARIATE.values():
        detector = make()
        detector.update(0.0, (1.0, 2.0))
        with pytest.raises(ValueError, match="a row of 3 values where there were 2"):
            detector.update(1.0, (1.0, 2.0, 3.0))
