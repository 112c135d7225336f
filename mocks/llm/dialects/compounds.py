"""Kinds of parameters that are made of others: arrays, objects, and choices between kinds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mocks.llm.dialects.kinds import Kind, MismatchError, Number, Path, Schema, Text, check_length


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


def or_null(schema: Schema) -> Schema:
    """The schema, null allowed."""
    return {"anyOf": [schema, {"type": "null"}]}
