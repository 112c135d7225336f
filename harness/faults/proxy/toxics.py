"""The toxics by name, and how one is made of the document that the admin API is given.

A new toxic is one small class (in `pace`, which changes no byte, in `harm`, or in `http_toxics`) and one entry in `TOXICS`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from harness.faults.proxy import harm, http_toxics, pace
from harness.faults.proxy.http_toxics import HttpToxic
from harness.faults.proxy.piece import Toxic, ToxicError

_KINDS: tuple[Any, ...] = (
    pace.Latency, pace.Bandwidth, pace.Loss, pace.Slicer, pace.SlowClose,
    harm.Partition, harm.Blackhole, harm.Reset, harm.DataLimit, harm.Corruption, harm.Duplicate,
    http_toxics.Status, http_toxics.Delay, http_toxics.RateLimited,
    http_toxics.Truncated, http_toxics.HeaderDropped, http_toxics.ContentType,
)  # fmt: skip
TOXICS: Mapping[str, Callable[..., Toxic | HttpToxic]] = {kind.name: kind for kind in _KINDS}


def make_toxic(document: Mapping[str, Any]) -> Toxic | HttpToxic:
    """The toxic of `{"type": …, parameters…}`. Raises ToxicError."""
    parameters = dict(document)
    name = str(parameters.pop("type", None))
    if name not in TOXICS:
        raise ToxicError(f"type must be one of {', '.join(sorted(TOXICS))}")
    wanted = inspect.signature(TOXICS[name]).parameters
    unknown = sorted(set(parameters) - set(wanted))
    if unknown:
        raise ToxicError(f"unknown parameter {', '.join(unknown)}; {name} has {', '.join(wanted) or 'none'}")
    missing = [key for key, one in wanted.items() if one.default is one.empty and key not in parameters]
    if missing:
        raise ToxicError(f"{name} needs {', '.join(missing)}")
    return TOXICS[name](**{key: _value(key, value, str(wanted[key].annotation)) for key, value in parameters.items()})


def number(name: str, value: object) -> float:
    """A finite number. Raises ToxicError."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ToxicError(f"{name} must be a number, not {value!r}")
    return float(value)


def _value(name: str, value: object, annotation: str) -> float | str:
    if annotation != "str":
        return number(name, value)
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise ToxicError(f"{name} must be printable ASCII text, not {value!r}")
    return value
