"""Detectors by name: ours, and those that other distributions announce under the entry point group `rag_gauntlet.detectors`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points

from harness.ops.monitoring.detectors import learned
from harness.ops.monitoring.detectors.base import Detector, MultivariateDetector
from harness.ops.monitoring.detectors.charts import Ewma
from harness.ops.monitoring.detectors.drift import Adwin, Sliding
from harness.ops.monitoring.detectors.ensemble import Ensemble
from harness.ops.monitoring.detectors.kalman import Kalman
from harness.ops.monitoring.detectors.multivariate import Mewma, Pca
from harness.ops.monitoring.detectors.row_drift import SlidingMmd

GROUP = "rag_gauntlet.detectors"
DEFAULT = "ensemble"
BUILT_IN: Mapping[str, Callable[[], Detector]] = {
    DEFAULT: Ensemble,
    "ewma": Ewma,
    "kalman": Kalman,
    "adwin": Adwin,
    "ks": partial(Sliding, "ks"),
    "psi": partial(Sliding, "psi"),
    "js": partial(Sliding, "js"),
    "arima": learned.Arima,
    "isolation_forest": learned.IsolationForest,
    "lof": learned.LocalOutlierFactor,
    "one_class_svm": learned.OneClassSvm,
}
DRIFT = frozenset({"adwin", "ks", "psi", "js", "mmd"})
"""Those whose score is how far a distribution has moved beyond what chance would: x / (1 + x) for x times the threshold."""
MULTIVARIATE: Mapping[str, Callable[[], MultivariateDetector]] = {"mewma": Mewma, "pca": Pca, "mmd": SlidingMmd}


class UnknownDetectorError(ValueError):
    """No detector has that name, or the one that has it cannot be loaded."""


def names() -> tuple[str, ...]:
    """All names that `create` knows, sorted: the detectors of one series."""
    return tuple(sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))}))


def create(name: str = DEFAULT) -> Detector:
    """A new detector for one series. A built-in name cannot be taken by an entry point."""
    if name in BUILT_IN:
        try:
            return BUILT_IN[name]()
        except learned.MissingExtraError as error:
            raise UnknownDetectorError(f"{name}: {error}") from error
    for point in entry_points(group=GROUP, name=name):
        try:
            made: Detector = point.load()()
        except Exception as error:  # the code is somebody else's: whatever it raises is told as its own
            raise UnknownDetectorError(f"the detector {name!r} ({point.value}) cannot be made: {type(error).__name__}: {error}") from error
        return made
    raise UnknownDetectorError(f"no such detector: {name!r}; write one of {', '.join(names())}")


@dataclass(frozen=True, slots=True)
class Single:
    """A detector of one series, for rows of one value."""

    detector: Detector

    def update(self, t_s: float, values: Sequence[float]) -> float:
        """See `MultivariateDetector.update`."""
        (value,) = values
        return self.detector.update(t_s, value)


def create_for(name: str, columns: int) -> MultivariateDetector:
    """A new detector for that many series at once. Raises UnknownDetectorError, too, for one that takes a single series."""
    if name in MULTIVARIATE:
        return MULTIVARIATE[name]()
    if columns == 1:
        if name not in names():
            raise UnknownDetectorError(f"no such detector: {name!r}; write one of {', '.join(sorted({*names(), *MULTIVARIATE}))}")
        return Single(create(name))
    raise UnknownDetectorError(f"{name} scores one column, not {columns}; write one of {', '.join(MULTIVARIATE)}")
