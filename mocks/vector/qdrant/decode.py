"""Reading JSON as strictly as Qdrant does, and saying what is wrong in its words."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import orjson

from mocks.vector.collection import Payload, PointId
from mocks.vector.index import Floats
from mocks.vector.nesting import too_deep
from mocks.vector.plan import VectorError
from mocks.vector.qdrant.paths import Path, PathError, parse
from mocks.vector.serde import spelled

_U64 = 1 << 64

T = TypeVar("T")


class FormatError(ValueError):
    """The body's JSON is not of the form that is wanted (400)."""


class RangeError(ValueError):
    """A value of the body is out of range (422); the text says `field: reason`."""


def body_of(raw: bytes, content_type: str | None) -> dict[str, Any]:
    """The JSON object that a request brings. Raises FormatError, saying where; VectorError for another kind of content."""
    if content_type is None or content_type.partition(";")[0].strip().lower() != "application/json":
        raise VectorError(400, "Content type error")
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if not raw.strip():
            raise FormatError("EOF while parsing a value at line 1 column 0") from error
        raise FormatError(f"expected value at line {error.lineno} column {error.colno}") from error
    if too_deep(raw, document):
        raise FormatError("recursion limit exceeded")
    return an_object(document, "a map")


def field(document: Mapping[str, Any], name: str) -> Any:
    """A field that must be there. Raises FormatError."""
    if name not in document:
        raise FormatError(f"missing field `{name}`")
    return document[name]


def an_object(value: Any, what: str) -> dict[str, Any]:
    """A JSON object. Raises FormatError."""
    if not isinstance(value, dict):
        raise FormatError(f"invalid type: {spelled(value)}, expected {what}")
    return value


def a_list(value: Any, each: Callable[[Any], T]) -> list[T]:
    """A JSON array of things that `each` reads. Raises FormatError."""
    if not isinstance(value, list):
        raise FormatError(f"invalid type: {spelled(value)}, expected a sequence")
    return [each(item) for item in value]


def text(value: Any) -> str:
    """A string. Raises FormatError."""
    if not isinstance(value, str):
        raise FormatError(f"invalid type: {spelled(value)}, expected a string")
    return value


def number(value: Any) -> float:
    """A number. Raises FormatError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FormatError(f"invalid type: {spelled(value)}, expected f64")
    return float(value)


def flag(value: Any) -> bool:
    """True or false. Raises FormatError."""
    if not isinstance(value, bool):
        raise FormatError(f"invalid type: {spelled(value)}, expected a boolean")
    return value


def whole(value: Any) -> int:
    """A number from 0. Raises FormatError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise FormatError(f"invalid type: {spelled(value)}, expected usize")
    if not 0 <= value < _U64:
        raise FormatError(f"invalid value: integer `{value}`, expected usize")
    return value


def at_least(document: Mapping[str, Any], name: str, least: int, default: int) -> int:
    """A whole number that may be absent or null. Raises FormatError, RangeError."""
    if document.get(name) is None:
        return default
    value = whole(document[name])
    if value < least:
        raise RangeError(f"{name}: value {value} invalid, must be {least} or larger")
    return value


def point_id(value: Any) -> PointId:
    """A number from 0 or a UUID in any of its spellings, as the canonical one. Raises FormatError."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _U64:
        return value
    if isinstance(value, str):
        try:
            return str(uuid.UUID(value))
        except ValueError:
            pass  # said below
    shown = value if isinstance(value, str) else spelled(value)
    raise FormatError(f"value {shown} is not a valid point ID, valid values are either an unsigned integer or a UUID")


def path(value: Any) -> Path:
    """A path into payloads. Raises FormatError."""
    try:
        return parse(text(value))
    except PathError as error:
        raise FormatError(str(error)) from error


def payload(value: Any) -> Payload:
    """A payload; null is an empty one. Raises FormatError."""
    return {} if value is None else an_object(value, "a map")


def floats(value: Any, variants: str) -> Floats:
    """A list of numbers. Raises FormatError, naming the `variants` that would have been good."""
    if not isinstance(value, list):
        raise FormatError(f"data did not match any variant of untagged enum {variants}")
    if not all(type(one) is float or type(one) is int for one in value):
        raise FormatError(f"data did not match any variant of untagged enum {variants}")
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is refused where it is used
        try:
            return np.array(value, np.float32)
        except OverflowError as error:
            raise FormatError(f"data did not match any variant of untagged enum {variants}") from error
