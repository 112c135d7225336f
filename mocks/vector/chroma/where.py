"""Filters on metadata and documents (`where`, `where_document`): parsed once, then asked of record after record.

Numbers are compared with numbers, whatever their kind; true is no 1; a record without the key satisfies only what is negated.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from mocks.vector.chroma.errors import invalid_argument
from mocks.vector.chroma.pattern import compile_pattern
from mocks.vector.plan import VectorError

Metadata = Mapping[str, Any]
Clause = Callable[[Metadata, str | None], bool]
"""Whether a record with this metadata and document is wanted."""
Text = Callable[[str], bool]

DOCUMENT_KEY = "#document"
_DOCUMENT_OPERATORS = ("$contains", "$not_contains", "$regex", "$not_regex")
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "$gt": lambda a, b: a > b,
    "$gte": lambda a, b: a >= b,
    "$lt": lambda a, b: a < b,
    "$lte": lambda a, b: a <= b,
}


def parse_where(value: Any) -> Clause:
    """A `where`. Raises VectorError."""
    key, operand = _only(value, _INVALID)
    if key in ("$and", "$or"):
        return _combined(key, operand, parse_where, _INVALID)
    if key.startswith("$"):
        raise invalid_argument(_INVALID)
    operator, operand = _only(operand, _INVALID) if isinstance(operand, dict) else ("$eq", operand)
    if key == DOCUMENT_KEY and operator in _DOCUMENT_OPERATORS:
        return _of_document(operator, operand, _INVALID)
    test = _of_metadata(operator, operand)
    if key == DOCUMENT_KEY:
        raise invalid_argument(
            f"Cannot filter using metadata key '{key}' with type '{_RUST_TYPES[_kind(operand)]}' because indexing is disabled"
        )
    return lambda metadata, _: test(metadata.get(key))


def parse_where_document(value: Any) -> Clause:
    """A `where_document`. Raises VectorError."""
    key, operand = _only(value, _INVALID_DOCUMENT)
    if key in ("$and", "$or"):
        return _combined(key, operand, parse_where_document, _INVALID_DOCUMENT)
    return _of_document(key, operand, _INVALID_DOCUMENT)


_INVALID = "Invalid where clause"
_INVALID_DOCUMENT = "Invalid where document clause"
_RUST_TYPES = {"text": "Str", "flag": "Bool", "number": "Int", "list": "Str"}


def _only(value: Any, refusal: str) -> tuple[str, Any]:
    """The one member of an object."""
    if not isinstance(value, dict) or len(value) != 1:
        raise invalid_argument(refusal)
    return next(iter(value.items()))


def _combined(key: str, operand: Any, parse: Callable[[Any], Clause], refusal: str) -> Clause:
    if not isinstance(operand, list):
        raise invalid_argument(refusal)
    clauses = [parse(one) for one in operand]
    combine = all if key == "$and" else any
    return lambda metadata, document: combine(clause(metadata, document) for clause in clauses)


def _of_document(operator: str, operand: Any, refusal: str) -> Clause:
    if operator not in _DOCUMENT_OPERATORS or not isinstance(operand, str):
        raise invalid_argument(refusal)
    matches: Text
    if operator.endswith("contains"):
        matches = lambda document: operand in document  # noqa: E731 - one of two tests, both short
    else:
        pattern = compile_pattern(operand)
        matches = lambda document: pattern.search(document) is not None  # noqa: E731
    wanted = not operator.startswith("$not_")
    return lambda _, document: (document is not None and matches(document)) is wanted


def _of_metadata(operator: str, operand: Any) -> Callable[[Any], bool]:
    if operator in ("$in", "$nin"):
        return _among(operand, wanted=operator == "$in")
    kind = _kind(operand)
    if kind in ("none", "list"):
        raise _refused()
    if operator in ("$eq", "$ne"):
        return _equal(operand, wanted=operator == "$eq")
    if operator in ("$contains", "$not_contains"):
        return _holding(operand, wanted=operator == "$contains")
    if operator not in _ORDERS or kind != "number":
        raise _refused()
    order = _ORDERS[operator]
    return lambda value: _kind(value) == "number" and order(value, operand)


def _equal(operand: Any, *, wanted: bool) -> Callable[[Any], bool]:
    kind = _kind(operand)
    return lambda value: (_kind(value) == kind and value == operand) is wanted


def _among(operand: Any, *, wanted: bool) -> Callable[[Any], bool]:
    """The list's first value says of which type all are; a list that begins with 1.0 may hold a 2, one that begins with 2 no 1.0."""
    if not isinstance(operand, list) or not operand or not all(_same_list(operand[0], one) for one in operand):
        raise _refused()
    kind = _kind(operand[0])
    return lambda value: (_kind(value) == kind and value in operand) is wanted


def _same_list(first: Any, other: Any) -> bool:
    if _kind(first) in ("none", "list") or _kind(first) != _kind(other):
        return False
    return type(first) is type(other) or isinstance(first, float)


def _holding(operand: Any, *, wanted: bool) -> Callable[[Any], bool]:
    """Whether a list holds the operand, in its very type: 1 is not in [1.0]."""
    return lambda value: (isinstance(value, list) and any(type(one) is type(operand) and one == operand for one in value)) is wanted


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, (int, float)):
        return "number" if math.isfinite(value) else "none"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "none"


def _refused() -> VectorError:
    return invalid_argument(_INVALID)
