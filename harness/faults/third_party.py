"""Faults that other distributions announce under the entry point group `rag_gauntlet.faults`: the name of a fault to its class."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from harness.scenario.catalog import FaultSpec
from harness.scenario.model import KINDS

GROUP = "rag_gauntlet.faults"


@dataclass(frozen=True, slots=True)
class Announced:
    """Classes that can be used, and by name why others cannot: a broken distribution is no concern of scenarios without its faults."""

    classes: tuple[Any, ...] = ()
    broken: dict[str, str] = field(default_factory=dict)


def announced(taken: Collection[str]) -> Announced:
    """All that are installed. A name of `taken` cannot be taken again."""
    classes: dict[str, Any] = {}
    broken: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda one: (one.name, one.value)):
        if point.name in taken or point.name in classes:
            broken.setdefault(f"{point.name} ({point.value})", f"{point.value}: there is a fault {point.name} already")
            continue
        try:
            classes[point.name] = _checked(point)
        except Exception as error:  # noqa: BLE001  # the code is somebody else's: whatever it raises is told as its own
            broken[point.name] = f"the fault of {point.value} cannot be used: {type(error).__name__}: {error}"
    return Announced(tuple(classes.values()), broken)


def _checked(point: EntryPoint) -> Any:
    """Raises TypeError or ValueError for what is no fault, beside whatever the loading raises."""
    kind = point.load()
    spec = getattr(kind, "spec", None)
    if not isinstance(spec, FaultSpec):
        raise TypeError("its `spec` is no FaultSpec")
    if spec.name != point.name:
        raise ValueError(f"its spec is called {spec.name!r}, its entry point {point.name!r}")
    if "." not in spec.name:
        raise ValueError(f"{spec.name!r} names no family; call it like `ours.{spec.name}`")
    if spec.kind not in (*KINDS, "none"):
        raise ValueError(f"{spec.kind!r} is no kind; write one of {', '.join(KINDS)}")
    missing = [verb for verb in ("undo", "inject", "verify", "heal", "gone") if not callable(getattr(kind, verb, None))]
    if missing:
        raise TypeError(f"it has no {', '.join(missing)}")
    return kind
