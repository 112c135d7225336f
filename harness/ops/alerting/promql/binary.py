"""Operators between scalars and vectors, with Prometheus' vector matching (promql/engine.go: VectorBinop, VectorAnd, VectorOr …)."""

from __future__ import annotations

from harness.ops.alerting.promql.numbers import ARITHMETIC, COMPARISON
from harness.ops.alerting.promql.series import Labels
from harness.ops.alerting.promql.syntax import NAME, Binary, Matching
from harness.ops.alerting.promql.vectors import Element, EvaluationError, Vector, drop, keep, nameless, replaced, unique


def scalars(op: str, lhs: float, rhs: float) -> float:
    """A comparison is 1 or 0."""
    return ARITHMETIC[op](lhs, rhs) if op in ARITHMETIC else float(COMPARISON[op](lhs, rhs))


def with_scalar(node: Binary, vector: Vector, scalar: float, *, scalar_left: bool) -> Vector:
    """Each element with the scalar; a comparison keeps the element's value, on whichever side it stands."""
    found: Vector = []
    for labels, value in vector:
        pair = (scalar, value) if scalar_left else (value, scalar)
        if node.op in ARITHMETIC:
            found.append(Element(nameless(labels), ARITHMETIC[node.op](*pair)))
        elif node.as_bool:
            found.append(Element(nameless(labels), float(COMPARISON[node.op](*pair))))
        elif COMPARISON[node.op](*pair):
            found.append(Element(labels, value))
    return unique(found)


def sets(node: Binary, lhs: Vector, rhs: Vector) -> Vector:
    """`and`, `or`, `unless`: by labels alone."""
    if node.op == "or":
        there = {_signature(node.matching, one.labels) for one in lhs}
        return unique([*lhs, *(one for one in rhs if _signature(node.matching, one.labels) not in there)])
    there = {_signature(node.matching, one.labels) for one in rhs}
    return [one for one in lhs if (_signature(node.matching, one.labels) in there) == (node.op == "and")]


def vectors(node: Binary, lhs: Vector, rhs: Vector) -> Vector:
    """Arithmetic and comparison between elements whose labels match. Raises EvaluationError where they do not match as was said."""
    if not lhs or not rhs:  # as Prometheus: what has nothing to be matched with is not looked at, however wrong it may be
        return []
    matching = node.matching
    many, one_side = (rhs, lhs) if matching.side == "right" else (lhs, rhs)
    others = _by_signature(matching, one_side)
    found: Vector = []
    matched: set[Labels] = set()
    for element in many:
        signature = _signature(matching, element.labels)
        other = others.get(signature)
        if other is None:
            continue
        pair = (other.value, element.value) if matching.side == "right" else (element.value, other.value)
        value = _value(node, *pair)
        if value is None:
            continue
        labels = _result_labels(node, element.labels, other.labels)
        if matching.side == "":
            _refuse(signature in matched, "many-to-one matching must be explicit (group_left/group_right)")
            matched.add(signature)
        else:
            _refuse(labels in matched, "grouping labels must ensure unique matches")
            matched.add(labels)
        found.append(Element(labels, value))
    return unique(found)


def _by_signature(matching: Matching, side: Vector) -> dict[Labels, Element]:
    found: dict[Labels, Element] = {}
    for one in side:
        signature = _signature(matching, one.labels)
        if signature in found:
            which = "left" if matching.side == "right" else "right"
            raise EvaluationError(f"found duplicate series for the match group {dict(signature)} on the {which} hand-side of the operation")
        found[signature] = one
    return found


def _refuse(wrong: bool, why: str) -> None:
    if wrong:
        raise EvaluationError(f"multiple matches for labels: {why}")


def _signature(matching: Matching, labels: Labels) -> Labels:
    return keep(labels, matching.labels) if matching.on else drop(labels, (*matching.labels, NAME))


def _value(node: Binary, left: float, right: float) -> float | None:
    """None where a comparison does not hold."""
    if node.op in ARITHMETIC:
        return ARITHMETIC[node.op](left, right)
    holds = COMPARISON[node.op](left, right)
    if node.as_bool:
        return float(holds)
    return left if holds else None


def _result_labels(node: Binary, labels: Labels, of_one: Labels) -> Labels:
    matching = node.matching
    if node.op in ARITHMETIC or node.as_bool:
        labels = nameless(labels)
    if matching.side == "":
        labels = keep(labels, matching.labels) if matching.on else drop(labels, matching.labels)
    for name in matching.include:
        labels = replaced(labels, name, dict(of_one).get(name, ""))
    return labels
