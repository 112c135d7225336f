"""From the text of an expression to its tree. The grammar and the types are promql-parser's; what we cannot evaluate is refused here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from harness.ops.alerting.promql.aggregate import AGGREGATIONS
from harness.ops.alerting.promql.functions import FUNCTIONS
from harness.ops.alerting.promql.numbers import COMPARISON
from harness.ops.alerting.promql.syntax import (
    NAME,
    Aggregate,
    Binary,
    Call,
    Matcher,
    Matching,
    Negate,
    Node,
    Number,
    Range,
    Selector,
    Text,
    pattern,
)

ELSEWHERE = "a real Prometheus can evaluate it: the container stack starts one (docs/containers.md)"
_NAMED = re.compile(r"'([A-Za-z_:][\w:]*)'")


class PromqlError(ValueError):
    """An expression that cannot be evaluated. `token` is the text at fault, where it is known."""

    def __init__(self, message: str, token: str = "") -> None:
        super().__init__(message)
        self.token = token


def parse(text: str) -> Node:
    """Raises PromqlError, and ImportError without promql-parser (the extra `run`)."""
    import promql_parser

    try:
        tree = promql_parser.parse(text)
    except ValueError as error:
        named = _NAMED.search(str(error))
        raise PromqlError(f"no PromQL: {error}", named[1] if named else "") from error
    return _node(tree)


def _node(tree: Any) -> Node:
    kind = type(tree).__name__
    if kind not in _NODES:
        raise PromqlError(f"{_UNKNOWN.get(kind, kind)} cannot be evaluated here; {ELSEWHERE}", _TOKENS.get(kind, ""))
    return _NODES[kind](tree)


def _selector(tree: Any) -> Selector:
    if tree.at is not None:
        raise PromqlError(f"the modifier `@` cannot be evaluated here; {ELSEWHERE}", "@")
    if tree.matchers.or_matchers:
        raise PromqlError("matchers are joined by commas; `or` among them is not PromQL", " or ")
    name = tree.name or ""
    matchers = tuple(_matcher(m) for m in tree.matchers.matchers)
    equal = [m.value for m in matchers if m.label == NAME and m.op == "="]
    return Selector(name or (equal[0] if len(equal) == 1 else ""), matchers, _ms(tree.offset) if tree.offset else 0)


_OPS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def _matcher(tree: Any) -> Matcher:
    op = _OPS[str(tree.op).rpartition(".")[2]]
    if op.endswith("~"):
        _pattern(tree.value)
    return Matcher(tree.name, op, tree.value)


def _pattern(text: str) -> None:
    try:
        pattern(text)
    except re.error as error:
        raise PromqlError(f"the regular expression {text!r} cannot be used here: {error}; {ELSEWHERE}", text) from error


def _call(tree: Any) -> Node:
    name = tree.func.name
    if name not in FUNCTIONS:
        raise PromqlError(f"{name}() cannot be evaluated here; {ELSEWHERE}", name)
    args = tuple(_node(arg) for arg in tree.args)
    if name == "label_replace" and isinstance(args[4], Text):
        _pattern(args[4].value)
    return Call(name, args)


def _aggregate(tree: Any) -> Node:
    op = str(tree.op)
    if op not in AGGREGATIONS:
        raise PromqlError(f"{op}() cannot be evaluated here; {ELSEWHERE}", op)
    modifier = tree.modifier
    without = modifier is not None and str(modifier.type).endswith("Without")
    labels = tuple(modifier.labels) if modifier is not None else ()
    return Aggregate(op, _node(tree.expr), labels, without, _node(tree.param) if tree.param is not None else None)


def _binary(tree: Any) -> Node:
    modifier = tree.modifier
    matching, as_bool = Matching(), False
    if modifier is not None:
        fill = modifier.fill_values
        if fill.lhs is not None or fill.rhs is not None:
            raise PromqlError(f"`fill` cannot be evaluated here; {ELSEWHERE}", "fill")
        label = modifier.matching
        side = {"ManyToOne": "left", "OneToMany": "right"}.get(str(modifier.card).rpartition(".")[2], "")
        on = label is not None and str(label.type).endswith("Include")
        matching = Matching(tuple(label.labels) if label is not None else (), on, side, tuple(modifier.group_labels or ()))
        as_bool = modifier.return_bool
    return Binary(str(tree.op), _node(tree.lhs), _node(tree.rhs), matching, as_bool)


def _ms(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))


_NODES: dict[str, Callable[[Any], Node]] = {
    "NumberLiteral": lambda tree: Number(tree.val),
    "StringLiteral": lambda tree: Text(tree.val),
    "ParenExpr": lambda tree: _node(tree.expr),
    "UnaryExpr": lambda tree: Negate(_node(tree.expr)),
    "VectorSelector": _selector,
    "MatrixSelector": lambda tree: Range(_selector(tree.vector_selector), _ms(tree.range)),
    "Call": _call,
    "AggregateExpr": _aggregate,
    "BinaryExpr": _binary,
}
_UNKNOWN = {"SubqueryExpr": "a subquery"}
_TOKENS = {"SubqueryExpr": ":"}


@dataclass(frozen=True, slots=True)
class Compared:
    """`query op limit`: what an alert looks at, and its threshold."""

    query: str
    op: str
    limit: float


def compared(text: str) -> Compared | None:
    """The comparison with a number that an expression is, or begins with (`… > 0.1 and …`); None where there is none."""
    import promql_parser

    tree = promql_parser.parse(text)
    while True:
        if isinstance(tree, promql_parser.ParenExpr):
            tree = tree.expr
        elif not isinstance(tree, promql_parser.BinaryExpr):
            return None
        elif str(tree.op) in COMPARISON and isinstance(tree.rhs, promql_parser.NumberLiteral):
            return Compared(tree.lhs.prettify(), str(tree.op), tree.rhs.val)
        elif str(tree.op) in ("and", "unless", "or"):
            tree = tree.lhs
        else:
            return None
