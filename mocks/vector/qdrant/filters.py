"""Filters: from JSON to a test of points."""

from collections.abc import Callable
from typing import Any

from mocks.vector.collection import Payload, Point
from mocks.vector.qdrant.conditions import field_condition, is_empty, is_null
from mocks.vector.qdrant.decode import FormatError, RangeError, a_list, an_object, field, path, point_id, text, whole
from mocks.vector.qdrant.paths import Path, values

Test = Callable[[Payload, Point | None], bool]
"""Whether a payload (and the point that it belongs to; None inside a nested filter) passes."""

_CLAUSES = ("should", "min_should", "must", "must_not")


def compile_filter(document: Any) -> Callable[[Point], bool]:
    """The test that a filter stands for. Raises FormatError, RangeError."""
    test = _filter(document)
    return lambda point: test(point.payload, point)


def _filter(document: Any) -> Test:
    given = an_object(document, "struct Filter")
    unknown = next((key for key in given if key not in _CLAUSES), None)
    if unknown is not None:
        raise FormatError(f"unknown field `{unknown}`, expected one of `should`, `min_should`, `must`, `must_not`")
    tests = [read(given[clause]) for clause, read in _READERS.items() if given.get(clause) is not None]
    return lambda payload, point: all(test(payload, point) for test in tests)


def _must(document: Any) -> Test:
    tests = _conditions(document)
    return lambda payload, point: all(test(payload, point) for test in tests)


def _must_not(document: Any) -> Test:
    tests = _conditions(document)
    return lambda payload, point: not any(test(payload, point) for test in tests)


def _should(document: Any) -> Test:
    tests = _conditions(document)
    return lambda payload, point: not tests or any(test(payload, point) for test in tests)


def _min_should(document: Any) -> Test:
    given = an_object(document, "struct MinShould")
    tests = a_list(field(given, "conditions"), _condition)
    least = whole(field(given, "min_count"))
    if least < 1:
        raise RangeError(f"filter.min_should.min_count: value {least} invalid, must be 1 or larger")
    return lambda payload, point: sum(test(payload, point) for test in tests) >= least


_READERS: dict[str, Callable[[Any], Test]] = {"should": _should, "min_should": _min_should, "must": _must, "must_not": _must_not}


def _conditions(document: Any) -> list[Test]:
    return a_list(document, _condition) if isinstance(document, list) else [_condition(document)]


def _condition(document: Any) -> Test:
    if not isinstance(document, dict):
        raise FormatError("data did not match any variant of untagged enum Condition")
    if "key" in document:
        test = field_condition(document)
        return lambda payload, _point: test(payload)
    kind = next((key for key in document if key in _KINDS), None)
    if kind is not None and len(document) == 1:
        return _KINDS[kind](document[kind])
    if all(key in _CLAUSES for key in document):
        return _filter(document)
    raise FormatError("data did not match any variant of untagged enum Condition")


def _key(document: Any) -> Path:
    return path(field(an_object(document, "struct PayloadField"), "key"))


def _is_empty(document: Any) -> Test:
    key = _key(document)
    return lambda payload, _point: is_empty(payload, key)


def _is_null(document: Any) -> Test:
    key = _key(document)
    return lambda payload, _point: is_null(payload, key)


def _has_id(document: Any) -> Test:
    ids = frozenset(a_list(document, point_id))
    return lambda _payload, point: point is not None and point.id in ids


def _has_vector(document: Any) -> Test:
    name = text(document)
    return lambda _payload, point: point is not None and name in point.names


def _nested(document: Any) -> Test:
    given = an_object(document, "struct Nested")
    key, test = path(field(given, "key")), _filter(field(given, "filter"))
    key = key[:-1] if key[-1] is None else key

    def passes(payload: Payload, _point: Point | None) -> bool:
        arrays = (value for value in values(payload, key) if isinstance(value, list))
        return any(isinstance(item, dict) and test(item, None) for array in arrays for item in array)

    return passes


_KINDS: dict[str, Callable[[Any], Test]] = {
    "is_empty": _is_empty,
    "is_null": _is_null,
    "has_id": _has_id,
    "has_vector": _has_vector,
    "nested": _nested,
}
