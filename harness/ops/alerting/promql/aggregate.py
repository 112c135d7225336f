"""Aggregation: many elements to one for each group of labels, or to the first few of each group."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping

from harness.ops.alerting.promql import numbers
from harness.ops.alerting.promql.series import Labels
from harness.ops.alerting.promql.syntax import NAME, Aggregate
from harness.ops.alerting.promql.vectors import Element, Vector, drop, keep


def _variance(values: list[float]) -> float:
    """One alone does not vary, not even an infinity."""
    return numbers.variance(values) if len(values) > 1 else 0.0


_TO_ONE: Mapping[str, Callable[[list[float]], float]] = {
    "sum": numbers.total,
    "avg": lambda values: numbers.total(values) / len(values),
    "min": numbers.smallest,
    "max": numbers.largest,
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
    "stddev": lambda values: math.sqrt(_variance(values)),
    "stdvar": _variance,
}
AGGREGATIONS = frozenset({*_TO_ONE, "quantile", "topk", "bottomk"})


def aggregate(node: Aggregate, vector: Vector, param: float) -> Vector:
    """`param` is the quantile, or how many of each group."""
    groups: dict[Labels, Vector] = defaultdict(list)
    for one in vector:
        groups[_group(node, one.labels)].append(one)
    if node.op in ("topk", "bottomk"):
        return [one for group in groups.values() for one in _first(group, param, largest=node.op == "topk")]
    if node.op == "quantile":
        return [Element(labels, numbers.quantile(param, [one.value for one in group])) for labels, group in groups.items()]
    return [Element(labels, _TO_ONE[node.op]([one.value for one in group])) for labels, group in groups.items()]


def _group(node: Aggregate, labels: Labels) -> Labels:
    return drop(labels, (*node.labels, NAME)) if node.without else keep(labels, node.labels)


def _first(group: Vector, many: float, *, largest: bool) -> Vector:
    """NaN comes last, either way."""
    sign = -1 if largest else 1
    ordered = sorted(group, key=lambda one: (math.isnan(one.value), sign * one.value))
    return ordered[: max(0, int(many))] if math.isfinite(many) else []
