"""Evaluates an expression at one moment, as a Prometheus that held these series would."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from harness.ops.alerting.promql import binary
from harness.ops.alerting.promql.aggregate import aggregate
from harness.ops.alerting.promql.functions import DATES, ELEMENTWISE
from harness.ops.alerting.promql.histograms import histogram_quantile
from harness.ops.alerting.promql.numbers import NAN
from harness.ops.alerting.promql.over_time import RANGED, Span
from harness.ops.alerting.promql.series import Labels, SeriesStore, labels_of
from harness.ops.alerting.promql.syntax import NAME, Aggregate, Binary, Call, Negate, Node, Number, Range, Selector, Text, pattern
from harness.ops.alerting.promql.vectors import Element, EvaluationError, Value, Vector, nameless, replaced, unique

LOOKBACK_MS = 300_000


@dataclass(frozen=True, slots=True)
class Moment:
    """When to look, at what. `time_scale` divides every duration of an expression, and the lookback of five minutes."""

    store: SeriesStore
    t_ms: int
    time_scale: float = 1.0

    def scaled(self, duration_ms: int) -> int:
        return round(duration_ms / self.time_scale)


def evaluate(node: Node, moment: Moment) -> Value:
    """Raises EvaluationError where Prometheus would refuse."""
    match node:
        case Number() | Text():
            return node.value
        case Selector():
            return _instant(node, moment)
        case Call():
            return _call(node, moment)
        case Aggregate():
            param = _number(node.param, moment) if node.param is not None else NAN
            return unique(aggregate(node, _vector(node.expr, moment), param))
        case Negate():
            value = evaluate(node.expr, moment)
            return unique(Element(nameless(e.labels), -e.value) for e in value) if isinstance(value, list) else -cast(float, value)
        case Binary():
            return _binary(node, evaluate(node.lhs, moment), evaluate(node.rhs, moment))
        case Range():
            raise EvaluationError("a range has no value of its own")


def _vector(node: Node, moment: Moment) -> Vector:
    return cast(Vector, evaluate(node, moment))


def _number(node: Node, moment: Moment) -> float:
    return cast(float, evaluate(node, moment))


def _instant(node: Selector, moment: Moment) -> Vector:
    at_ms, lookback_ms = moment.t_ms - moment.scaled(node.offset_ms), moment.scaled(LOOKBACK_MS)
    found = ((one, one.at(at_ms, lookback_ms)) for one in moment.store.select(node))
    return [Element(one.labels, one.values[n]) for one, n in found if n is not None]


def _spans(node: Range, moment: Moment) -> list[Span]:
    end_ms = moment.t_ms - moment.scaled(node.selector.offset_ms)
    start_ms = end_ms - moment.scaled(node.range_ms)
    found = ((one, *one.between(start_ms, end_ms)) for one in moment.store.select(node.selector))
    return [Span(one, a, b, start_ms, end_ms, moment.t_ms, moment.time_scale) for one, a, b in found if a < b]


def _binary(node: Binary, lhs: Value, rhs: Value) -> Value:
    if isinstance(lhs, list) and isinstance(rhs, list):
        return (binary.sets if node.op in ("and", "or", "unless") else binary.vectors)(node, lhs, rhs)
    if isinstance(lhs, list):
        return binary.with_scalar(node, lhs, cast(float, rhs), scalar_left=False)
    if isinstance(rhs, list):
        return binary.with_scalar(node, rhs, cast(float, lhs), scalar_left=True)
    return binary.scalars(node.op, cast(float, lhs), cast(float, rhs))


def _call(node: Call, moment: Moment) -> Value:
    if node.function in _SPECIAL:
        return _SPECIAL[node.function](node, moment)
    if node.function in RANGED:
        return _ranged(node, moment)
    if node.function in DATES and not node.args:
        return [Element((), DATES[node.function](moment.t_ms / 1000))]
    numbers = [_number(arg, moment) for arg in node.args[1:]]
    vector = _vector(node.args[0], moment)
    if node.function == "clamp" and numbers[1] < numbers[0]:
        return []
    function = ELEMENTWISE[node.function]
    return unique(Element(nameless(labels), function(value, *numbers)) for labels, value in vector)


def _ranged(node: Call, moment: Moment) -> Vector:
    ranges = [arg for arg in node.args if isinstance(arg, Range)]
    numbers = [_number(arg, moment) for arg in node.args if not isinstance(arg, Range)]
    function, keeps_name = RANGED[node.function], node.function == "last_over_time"
    found: Vector = []
    for span in _spans(ranges[0], moment):
        value = function(span, *numbers)
        if value is not None:
            found.append(Element(span.series.labels if keeps_name else nameless(span.series.labels), value))
    return unique(found)


def _absent(node: Call, moment: Moment) -> Vector:
    """One element where there is none, with the labels that were asked for with `=` (none that was asked for twice)."""
    arg = node.args[0]
    if _spans(arg, moment) if isinstance(arg, Range) else _vector(arg, moment):
        return []
    selector = arg.selector if isinstance(arg, Range) else arg
    labels: dict[str, str] = {}
    matchers = selector.matchers if isinstance(selector, Selector) else ()
    for one in matchers:
        first = one.label not in labels and one.op == "="
        labels[one.label] = one.value if first else ""
    return [Element(labels_of({k: v for k, v in labels.items() if k != NAME}), 1.0)]


def _scalar(node: Call, moment: Moment) -> float:
    vector = _vector(node.args[0], moment)
    return vector[0].value if len(vector) == 1 else NAN


def _timestamp(node: Call, moment: Moment) -> Vector:
    """Seconds: when the point was taken, or now of what was computed."""
    arg = node.args[0]
    if not isinstance(arg, Selector):
        return unique(Element(nameless(e.labels), moment.t_ms / 1000) for e in _vector(arg, moment))
    at_ms, lookback_ms = moment.t_ms - moment.scaled(arg.offset_ms), moment.scaled(LOOKBACK_MS)
    found = ((one, one.at(at_ms, lookback_ms)) for one in moment.store.select(arg))
    return unique(Element(nameless(one.labels), one.t_ms[n] / 1000) for one, n in found if n is not None)


_GROUP = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")


def _text(node: Call, n: int) -> str:
    arg = node.args[n]
    return arg.value if isinstance(arg, Text) else ""


def _label_replace(node: Call, moment: Moment) -> Vector:
    target, template, source, regex = (_text(node, n) for n in range(1, 5))

    def renamed(labels: Labels) -> Labels:
        match = pattern(regex).fullmatch(dict(labels).get(source, ""))
        return labels if match is None else replaced(labels, target, _GROUP.sub(lambda g: _group(match, g), template))

    return unique(Element(renamed(e.labels), e.value) for e in _vector(node.args[0], moment))


def _group(match: re.Match[str], reference: re.Match[str]) -> str:
    """What `$1`, `${1}` or `$name` stands for; nothing, where there is no such group; `$$` is a dollar."""
    name = reference[1] or reference[2]
    if name is None:
        return "$"
    key: int | str = int(name) if name.isdigit() else name
    try:
        return match[key] or ""
    except IndexError:
        return ""


def _label_join(node: Call, moment: Moment) -> Vector:
    target, separator = _text(node, 1), _text(node, 2)
    sources = [_text(node, n) for n in range(3, len(node.args))]

    def joined(labels: Labels) -> Labels:
        values = dict(labels)
        return replaced(labels, target, separator.join(values.get(s, "") for s in sources))

    return unique(Element(joined(e.labels), e.value) for e in _vector(node.args[0], moment))


_SPECIAL: Mapping[str, Callable[[Call, Moment], Value]] = {
    "absent": _absent,
    "absent_over_time": _absent,
    "histogram_quantile": lambda node, moment: histogram_quantile(_number(node.args[0], moment), _vector(node.args[1], moment)),
    "label_join": _label_join,
    "label_replace": _label_replace,
    "scalar": _scalar,
    "sort": lambda node, moment: _vector(node.args[0], moment),
    "sort_desc": lambda node, moment: _vector(node.args[0], moment),
    "time": lambda _, moment: moment.t_ms / 1000,
    "timestamp": _timestamp,
    "vector": lambda node, moment: [Element((), _number(node.args[0], moment))],
}


def holds(value: Value) -> Vector:
    """What a rule makes of an expression's value: a scalar is an element without labels."""
    if isinstance(value, str):
        raise EvaluationError("a rule's expression is a vector or a scalar")
    return value if isinstance(value, list) else [Element((), value)]
