"""What a parameter may be: one description that checks a request's value and states its JSON Schema.

A kind raises MismatchError, which says what is wrong and where, but not in which provider's words (`wording`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    """An integer from `low` to `high`."""

    low: int | None = None
    high: int | None = None

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""
        if type(value) is not int:
            raise MismatchError(path, "type", "integer", value)
        _check_range(value, self.low, self.high, path)

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
        _check_range(value, self.low, self.high, path)

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
class Many:
    """An array of `least` to `most` items of one kind."""

    item: Kind
    least: int = 0
    most: int | None = None

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""
        if not isinstance(value, list):
            raise MismatchError(path, "type", "array", value)
        check_length(value, self.least, self.most, path)
        for i, item in enumerate(value):
            self.item.check(item, (*path, i))

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        limits = {"minItems": self.least or None, "maxItems": self.most}
        return {"type": "array", "items": self.item.schema(), **{name: limit for name, limit in limits.items() if limit is not None}}


@dataclass(frozen=True, slots=True)
class Fields:
    """An object. Fields that are not named are let be; one that is not `required` may be null."""

    fields: Mapping[str, Kind] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""
        if not isinstance(value, dict):
            raise MismatchError(path, "type", "object", value)
        for name in self.required:
            if name not in value:
                raise MismatchError((*path, name), "missing")
        for name, kind in self.fields.items():
            found = value.get(name)
            if found is not None or (name in self.required and name in value):
                kind.check(found, (*path, name))

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        properties = {name: kind.schema() if name in self.required else or_null(kind.schema()) for name, kind in self.fields.items()}
        required = {"required": list(self.required)} if self.required else {}
        return {"type": "object", "properties": properties, **required}


@dataclass(frozen=True, slots=True)
class Anything:
    """Any value: what is accepted without being understood."""

    def check(self, value: Any, path: Path) -> None:
        """Never raises."""

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        return {}


@dataclass(frozen=True, slots=True)
class TextMap:
    """An object of at most `most` strings, such as metadata."""

    most: int

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""
        if not isinstance(value, dict):
            raise MismatchError(path, "type", "object", value)
        if len(value) > self.most:
            raise MismatchError(path, "long", self.most, value)
        for name, item in value.items():
            _TEXT.check(item, (*path, name))

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        return {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": self.most}


@dataclass(frozen=True, slots=True)
class NumberMap:
    """An object of numbers from `low` to `high`."""

    low: float
    high: float

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""
        if not isinstance(value, dict):
            raise MismatchError(path, "type", "object", value)
        kind = Number(self.low, self.high)
        for name, item in value.items():
            kind.check(item, (*path, name))

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        return {"type": "object", "additionalProperties": Number(self.low, self.high).schema()}


@dataclass(frozen=True, slots=True)
class Either:
    """What any of `kinds` takes, told apart by its JSON type; `expected` names them in a sentence."""

    kinds: Mapping[type, Kind]
    expected: str

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""
        kind = self.kinds.get(type(value))
        if kind is None:
            raise MismatchError(path, "type", self.expected, value)
        kind.check(value, path)

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        return {"anyOf": [kind.schema() for kind in self.kinds.values()]}


@dataclass(frozen=True, slots=True)
class Tagged:
    """An object whose field `tag` says which of `variants` it is; without the field it is the one named `default`, where there is one."""

    variants: Mapping[str, "Fields"]
    tag: str = "type"
    default: str | None = None

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""
        if not isinstance(value, dict):
            raise MismatchError(path, "type", "object", value)
        name = value.get(self.tag, self.default)
        if name is None and self.tag not in value:
            raise MismatchError((*path, self.tag), "missing")
        if not isinstance(name, str):
            raise MismatchError((*path, self.tag), "type", "string", name)
        variant = self.variants.get(name)
        if variant is None:
            raise MismatchError((*path, self.tag), "value", tuple(self.variants), name)
        variant.check(value, path)

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        return {"anyOf": [self._variant(name, fields) for name, fields in self.variants.items()]}

    def _variant(self, name: str, fields: "Fields") -> Schema:
        schema = fields.schema()
        tag = {} if name == self.default else {"required": [self.tag, *fields.required]}
        return schema | {"properties": {self.tag: {"const": name}} | schema["properties"]} | tag


_TEXT = Text()


def check_present(body: Mapping[str, Any], kinds: Mapping[str, Kind]) -> None:
    """Check the parameters that are there and known; null is as good as none, an unknown one is let be. Raises MismatchError."""
    for name, value in body.items():
        if value is not None and name in kinds:
            kinds[name].check(value, (name,))


def check_length(value: Sequence[Any], least: int, most: int | None, path: Path) -> None:
    """Raises MismatchError where an array is shorter or longer."""
    if len(value) < least:
        raise MismatchError(path, "empty", least, value)
    if most is not None and len(value) > most:
        raise MismatchError(path, "long", most, value)


def or_null(schema: Schema) -> Schema:
    """The schema, null allowed."""
    return {"anyOf": [schema, {"type": "null"}]}


def _check_range(value: float, low: float | None, high: float | None, path: Path) -> None:
    if low is not None and value < low:
        raise MismatchError(path, "below", low, value)
    if high is not None and value > high:
        raise MismatchError(path, "above", high, value)


def _range(low: float | None, high: float | None) -> Schema:
    return {name: limit for name, limit in (("minimum", low), ("maximum", high)) if limit is not None}
