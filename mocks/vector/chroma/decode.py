"""Reads JSON bodies as the server's typed decoder does, with its words for what does not fit.

Readers take a value and its path (`metadatas[0].x`) and return it typed, or raise `MismatchError`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson

from mocks.vector.chroma.errors import invalid_argument, other
from mocks.vector.nesting import too_deep
from mocks.vector.plan import VectorError
from mocks.vector.serde import spelled

T = TypeVar("T")
Reader = Callable[[Any, str], T]

_MOST_U32 = 2**32 - 1


class MismatchError(Exception):
    """JSON of another type than wanted, at a path."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(f"{path}: {text}" if path else text)


def document(body: bytes, content_type: str | None, struct: str) -> Mapping[str, Any]:
    """The JSON object that a body holds; `struct` is what the server calls it. Raises VectorError, MismatchError."""
    if content_type is not None and not content_type.lower().startswith("application/json"):
        raise other(415, "Expected request with `Content-Type: application/json`")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _unparsed(_syntax(body, error)) from None
    if too_deep(body, value):
        raise _unparsed(f"recursion limit exceeded {_end(body)}")
    if not isinstance(value, dict):
        raise invalid_type(value, "", f"struct {struct}")
    return value


def unprocessable(error: MismatchError, body: bytes) -> VectorError:
    """422 for a body that does not fit. The server names the place where it stopped reading; this names the end of the body."""
    return other(422, f"Failed to deserialize the JSON body into the target type: {error} {_end(body)}")


def invalid_type(value: object, path: str, expected: str) -> MismatchError:
    """A value of another type."""
    return MismatchError(path, f"invalid type: {spelled(value)}, expected {expected}")


def required(fields: Mapping[str, Any], name: str, reader: Reader[T]) -> T:
    """A field that must be there."""
    if name not in fields:
        raise MismatchError("", f"missing field `{name}`")
    return reader(fields[name], name)


def optional(fields: Mapping[str, Any], name: str, reader: Reader[T]) -> T | None:
    """A field that may be absent or null."""
    value = fields.get(name)
    return None if value is None else reader(value, name)


def text(value: Any, path: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise invalid_type(value, path, "a string")
    return value


def flag(value: Any, path: str) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise invalid_type(value, path, "a boolean")
    return value


def whole(value: Any, path: str) -> int:
    """An integer that fits 32 bits without sign."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid_type(value, path, "u32")
    if not 0 <= value <= _MOST_U32:
        raise MismatchError(path, f"invalid value: integer `{value}`, expected u32")
    return value


def mapping(value: Any, path: str) -> Mapping[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise invalid_type(value, path, "a map")
    return value


def sequence(value: Any, path: str) -> list[Any]:
    """An array."""
    if not isinstance(value, list):
        raise invalid_type(value, path, "a sequence")
    return value


def listed(reader: Reader[T]) -> Reader[list[T]]:
    """An array of what `reader` reads."""
    return lambda value, path: [reader(one, f"{path}[{i}]") for i, one in enumerate(sequence(value, path))]


def nullable(reader: Reader[T]) -> Reader[T | None]:
    """What `reader` reads, or null."""
    return lambda value, path: None if value is None else reader(value, path)


def choice(known: Sequence[str]) -> Reader[str]:
    """One of these names."""

    def read(value: Any, path: str) -> str:
        name = text(value, path)
        if name not in known:
            raise MismatchError(path, f"unknown variant `{name}`, expected one of {', '.join(f'`{one}`' for one in known)}")
        return name

    return read


def _unparsed(why: str) -> VectorError:
    return invalid_argument(f"Failed to parse the request body as JSON: {why}")


def _end(body: bytes) -> str:
    lines = body.split(b"\n")
    return f"at line {len(lines)} column {len(lines[-1])}"


def _syntax(body: bytes, error: orjson.JSONDecodeError) -> str:
    """What is wrong with a body that is no JSON, and where."""
    ended = not body.strip() or error.pos >= len(body.rstrip())
    return f"{'EOF while parsing a value' if ended else 'expected value'} at line {error.lineno} column {error.colno}"
