"""What a parameter may be: one description that checks a request's value and states its JSON Schema.

A kind raises MismatchError, which says what is wrong and where, but not in which provider's words (`wording`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Path = tuple[str | int, ...]
Problem = Literal["missing", "type", "value", "below", "above", "empty", "long"]
Schema = dict[str, Any]


@dataclass(eq=False)
class MismatchError(Exception):
    """A value is not what its parameter may be. `expected` is what it should be (of `type`), the values allowed (`value`) or the limit."""

    path: Path
    problem: Problem
    expected: Any = None
    got: Any = None


class Kind(Protocol):
    """What one parameter may be."""

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""

    def schema(self) -> Schema:
        """The same as JSON Schema."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean."""

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""
        if value is not True and value is not False:
            raise MismatchError(path, "type", "boolean", value)

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Text:
    """A string; `least` and `most` count characters."""

    least: int = 0
    most: int | None = None

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""
        if not isinstance(value, str):
            raise MismatchError(path, "type", "string", value)
        if len(value) < self.least:
            raise MismatchError(path, "empty", self.least, value)
        if self.most is not None and len(value) > self.most:
            raise MismatchError(path, "long", self.most, value)

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        limits = {"minLength": self.least or None, "maxLength": self.most}
        return {"type": "string", **{name: limit for name, limit in limits.items() if limit is not None}}


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer from `low` to `high`; JSON's integers have 64 bits at most."""

    low: int = -(2**63)
    high: int = 2**63 - 1

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""
        if type(value) is not int:
            raise MismatchError(path, "type", "integer", value)
        if not self.low <= value <= self.high:
            raise _out_of_range(value, self.low, self.high, path)

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        return {"type": "integer", **_range(self.low, self.high)}


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `low` to `high`."""

    low: float
    high: float

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""
        if type(value) is not float and type(value) is not int:
            raise MismatchError(path, "type", "decimal", value)
        if not self.low <= value <= self.high:
            raise _out_of_range(value, self.low, self.high, path)

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        return {"type": "number", **_range(self.low, self.high)}


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some strings."""

    values: tuple[str, ...]

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""
        if not isinstance(value, str):
            raise MismatchError(path, "type", "string", value)
        if value not in self.values:
            raise MismatchError(path, "value", self.values, value)

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        return {"type": "string", "enum": list(self.values)}


@dataclass(frozen=True, slots=True)
class Anything:
    """Any value: what is accepted without being understood."""

    def check(self, value: Any, path: Path) -> None:
        """Never raises."""

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        return {}


def check_length(value: Sequence[Any], least: int, most: int | None, path: Path) -> None:
    """Raises MismatchError where an array is shorter or longer."""
    if len(value) < least:
        raise MismatchError(path, "empty", least, value)
    if most is not None and len(value) > most:
        raise MismatchError(path, "long", most, value)


def _out_of_range(value: float, low: float, high: float, path: Path) -> MismatchError:
    return MismatchError(path, "below", low, value) if value < low else MismatchError(path, "above", high, value)


def _range(low: float, high: float) -> Schema:
    return {"minimum": low, "maximum": high}
