"""Values that obey a JSON Schema, made of a text; and which schemas can be obeyed.

Understood: type, properties, required, items, prefixItems, enum, const, anyOf, oneOf, allOf, $ref within the document, format, limits
of strings, numbers and arrays. A client's `pattern` is never evaluated (it could take for ever): `default` or the first of `examples`
stands for it. `not`, `if` and dependencies are let be.
"""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from mocks.llm.answers.schema_keywords import SchemaError, list_of, mapping_of, merged_of, names_of, whole_of, without_of
from mocks.llm.answers.schema_numbers import numeric

_MOST_VALUES = 5_000  # in one answer
_MOST_DEPTH = 40
_MOST_LENGTH = 20_000  # characters that a string may be asked to have at least
_KEYWORD_TYPES = {
    "properties": "object",
    "required": "object",
    "items": "array",
    "prefixItems": "array",
    "minimum": "number",
    "maximum": "number",
}
_FORMATS = {
    "date-time": "2024-01-31T12:00:00Z",
    "date": "2024-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "8b1f5c0e-2f0a-4f43-9d8a-3c6c2f6d1e57",
}
_MADE = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})


def check_schema(schema: Mapping[str, Any], *, strict: bool) -> None:
    """Whether it describes an object that can be made. Raises SchemaError."""
    if schema.get("type", "object" if {"$ref", "anyOf", "allOf", "properties"} & schema.keys() else None) != "object":
        raise SchemaError(f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'.")
    if strict:
        for path, node in _nodes(schema, ()):
            _check_strict(node, path)
    fill(schema, "text", Random(0))


def fill(schema: Mapping[str, Any], text: str, rng: Random) -> Any:
    """A value that obeys the schema, its free strings being `text`. Raises SchemaError.

    Which parts of the schema are used depends on the schema alone: one that has been checked can be filled with any text.
    """
    return _Filler(schema, text, rng).value(schema, 0)


def _nodes(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every subschema with the way to it."""
    if not isinstance(node, dict):
        return
    if len(path) > 2 * _MOST_DEPTH:
        raise SchemaError(f"In context={path}, the schema is nested too deeply.")
    yield path, node
    for keyword in ("properties", "$defs", "definitions"):
        for name, child in mapping_of(node, keyword).items():
            yield from _nodes(child, (*path, keyword, name))
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for i, child in enumerate(list_of(node, keyword)):
            yield from _nodes(child, (*path, keyword, str(i)))
    yield from _nodes(node.get("items"), (*path, "items"))


def _check_strict(node: Mapping[str, Any], path: tuple[str, ...]) -> None:
    for keyword in ("not", "if", "oneOf", "pattern", "dependentRequired"):
        if keyword in node:
            raise SchemaError(f"In context={path}, '{keyword}' is not permitted.")
    if "properties" not in node and node.get("type") != "object":
        return
    if node.get("additionalProperties") is not False:
        raise SchemaError(f"In context={path}, 'additionalProperties' is required to be supplied and to be false.")
    missing = sorted(mapping_of(node, "properties").keys() - set(names_of(node, "required")))
    if missing:
        must = "'required' is required to be supplied and to be an array including every key in properties."
        raise SchemaError(f"In context={path}, {must} Missing '{missing[0]}'.")


class _Filler:
    """Makes one value; `_left` and `_open` keep it finite."""

    def __init__(self, root: Mapping[str, Any], text: str, rng: Random) -> None:
        self._root = root
        self._text = text
        self._base = rng.getrandbits(16)  # whatever is chosen begins here, and goes on from item to item
        self._left = _MOST_VALUES
        self._open: set[str] = set()
        self._number = 0  # of the item in its array

    def value(self, node: Any, depth: int) -> Any:
        """A value of one subschema."""
        self._left -= 1
        if self._left < 0 or depth > _MOST_DEPTH:
            raise SchemaError("the values that it requires are too many or nested too deeply.")
        if node is True:
            return self._text
        if not isinstance(node, dict):
            raise SchemaError(f"a schema must be an object, not {node!r:.60}.")
        if "$ref" in node:
            return self._referred(node, depth)
        if "const" in node:
            return node["const"]
        if "enum" in node:
            return self._listed(node)
        for keyword in ("anyOf", "oneOf"):
            if keyword in node:
                return self._first_of(node, keyword, depth)
        if "allOf" in node:
            return self.value(merged_of(without_of(node, "allOf"), *list_of(node, "allOf")), depth + 1)
        return self._typed(node, _type(node), depth)

    def _referred(self, node: Mapping[str, Any], depth: int) -> Any:
        """What a reference leads to. One that leads back to itself is refused: who asked for it leaves it out where it may."""
        reference = node["$ref"]
        if not isinstance(reference, str) or reference in self._open:
            raise SchemaError(f"the reference {reference!r:.60} leads nowhere.")
        target: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            target = target.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(target, dict) else None
        if not reference.startswith("#") or not isinstance(target, dict):
            raise SchemaError(f"the reference {reference!r:.60} leads nowhere.")
        self._open.add(reference)
        try:
            return self.value(merged_of(target, without_of(node, "$ref")), depth + 1)
        finally:
            self._open.discard(reference)

    def _listed(self, node: Mapping[str, Any]) -> Any:
        """One of the enumeration: the first that the text names, else any; different ones for the items of an array."""
        values = list_of(node, "enum")
        if not values:
            raise SchemaError("'enum' must be a non-empty array.")
        named = [value for value in values if isinstance(value, str) and value and value.lower() in self._text.lower()]
        first = values.index(named[0]) if named else self._base
        return values[(first + self._number) % len(values)]

    def _first_of(self, node: Mapping[str, Any], keyword: str, depth: int) -> Any:
        """By the first branch that can be obeyed; null only where nothing else can."""
        rest = without_of(node, keyword)
        branches = sorted(list_of(node, keyword), key=lambda branch: isinstance(branch, dict) and branch.get("type") == "null")
        for branch in branches:
            try:
                return self.value(merged_of(rest, branch), depth + 1)
            except SchemaError as error:
                last = error
        if not branches:
            raise SchemaError(f"'{keyword}' must be a non-empty array.")
        raise last

    def _typed(self, node: Mapping[str, Any], kind: str, depth: int) -> Any:
        match kind:
            case "object":
                return self._object(node, depth)
            case "array":
                return self._array(node, depth)
            case "string":
                return self._string(node)
            case "integer" | "number":
                return numeric(node, self._base, self._number, whole=kind == "integer")
            case "boolean":
                return self._base % 2 == 1
            case _:
                return None

    def _object(self, node: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = mapping_of(node, "properties")
        required = names_of(node, "required")
        made: dict[str, Any] = {}
        for name, child in properties.items():
            try:
                made[name] = self.value(child, depth + 1)
            except SchemaError as error:
                if name in required:
                    raise SchemaError(f"In property '{name[:60]}': {error}") from error
        further = node.get("additionalProperties", True)
        for name in required:
            if name not in made:
                made[name] = self.value(further, depth + 1)
        for i in range(len(made), whole_of(node, "minProperties", 0)):
            made[f"key_{i + 1}"] = self.value(further, depth + 1)
        return made

    def _array(self, node: Mapping[str, Any], depth: int) -> list[Any]:
        least = whole_of(node, "minItems", 0)
        most = whole_of(node, "maxItems", max(1, least))
        if most < least:
            raise SchemaError(f"no array has at least {least} and at most {most} items.")
        fixed = list_of(node, "prefixItems")
        count = min(most, max(1, least, len(fixed)))
        made: list[Any] = []
        outer = self._number
        try:
            for i in range(count):
                self._number = i
                made.append(self.value(fixed[i] if i < len(fixed) else node.get("items", True), depth + 1))
        except SchemaError:
            if len(made) < least:
                raise
        finally:
            self._number = outer
        return made

    def _string(self, node: Mapping[str, Any]) -> str:
        if "pattern" in node:
            for known in (node.get("default"), *list_of(node, "examples")):
                if isinstance(known, str):
                    return known
        form = node.get("format")
        if isinstance(form, str) and form in _FORMATS:
            return _FORMATS[form]
        least = whole_of(node, "minLength", 0)
        most = whole_of(node, "maxLength", max(least, len(self._text) + 8))
        if least > _MOST_LENGTH or most < least:
            raise SchemaError(f"no string of this model has at least {least} and at most {most} characters.")
        text = f"{self._number + 1}. {self._text}" if self._number else self._text
        return (text + " " + (self._text or "-") * (least // max(1, len(self._text)) + 1))[:most] if len(text) < least else text[:most]


def _type(node: Mapping[str, Any]) -> str:
    found = node.get("type")
    if found is None:
        return next((kind for keyword, kind in _KEYWORD_TYPES.items() if keyword in node), "string")
    kinds = found if isinstance(found, list) else [found]
    for kind in kinds:
        if not isinstance(kind, str) or kind not in _MADE:
            raise SchemaError(f"{kind!r:.60} is not valid under any of the given types.")
    return next((kind for kind in kinds if kind != "null"), "null")
