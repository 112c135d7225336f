"""Instant vectors: elements with labels, and what may be asked of labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import NamedTuple

from harness.ops.alerting.promql.series import Labels
from harness.ops.alerting.promql.syntax import NAME


class Element(NamedTuple):
    """One series at one moment."""

    labels: Labels
    value: float


Vector = list[Element]
Value = float | str | Vector


class EvaluationError(ValueError):
    """What Prometheus refuses while it evaluates: labels that are not unique, a match that is not one to one."""


@lru_cache(maxsize=50_000)
def nameless(labels: Labels) -> Labels:
    """Without the metric's name: what has been computed with is no longer that metric."""
    return tuple(one for one in labels if one[0] != NAME)


def keep(labels: Labels, names: Collection[str]) -> Labels:
    """Only these."""
    return tuple(one for one in labels if one[0] in names)


def drop(labels: Labels, names: Collection[str]) -> Labels:
    """All but these."""
    return tuple(one for one in labels if one[0] not in names)


def replaced(labels: Labels, name: str, value: str) -> Labels:
    """With this label; an empty value takes it away."""
    return tuple(sorted([*drop(labels, (name,)), *([(name, value)] if value else [])]))


def unique(vector: Iterable[Element]) -> Vector:
    """The same. Raises EvaluationError where two elements have the same labels."""
    found = list(vector)
    if len({one.labels for one in found}) < len(found):
        raise EvaluationError("vector cannot contain metrics with the same labelset")
    return found
