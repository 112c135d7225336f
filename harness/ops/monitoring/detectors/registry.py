"""Detectors by name: ours, and those that other distributions announce under the entry point group `rag_gauntlet.detectors`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points

from harness.ops.monitoring.detectors.base import Detector
from harness.ops.monitoring.detectors.charts import Ewma
from harness.ops.monitoring.detectors.ensemble import Ensemble
from harness.ops.monitoring.detectors.kalman import Kalman

GROUP = "rag_gauntlet.detectors"
DEFAULT = "ensemble"
BUILT_IN: Mapping[str, Callable[[], Detector]] = {DEFAULT: Ensemble, "ewma": Ewma, "kalman": Kalman}


class UnknownDetectorError(ValueError):
    """No detector has that name, or the one that has it cannot be loaded."""


def names() -> tuple[str, ...]:
    """All names that `create` knows, sorted."""
    return tuple(sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))}))


def create(name: str = DEFAULT) -> Detector:
    """A new detector for one series. A built-in name cannot be taken by an entry point."""
    if name in BUILT_IN:
        return BUILT_IN[name]()
    for point in entry_points(group=GROUP, name=name):
        try:
            made: Detector = point.load()()
        except Exception as error:  # the code is somebody else's: whatever it raises is told as its own
            raise UnknownDetectorError(f"the detector {name!r} ({point.value}) cannot be made: {type(error).__name__}: {error}") from error
        return made
    raise UnknownDetectorError(f"no such detector: {name!r}; write one of {', '.join(names())}")
