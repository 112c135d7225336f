"""Reading a JSON Schema that a client wrote: each keyword checked when it is used."""

from collections.abc import Mapping
from typing import Any

EXACT = 2**53
"""Beyond, JSON numbers are not whole for everybody."""


class SchemaError(ValueError):
    """A schema that is none, that cannot be obeyed, or that breaks the rules of strict output; the text says where and why."""


def merged_of(*nodes: Any) -> Any:
    """One schema that demands what all of them do."""
    merged: dict[str, Any] = {}
    for node in nodes:
        if node is False or not isinstance(node, (dict, bool)):
            raise SchemaError("one of its branches allows nothing.")
        if isinstance(node, dict):
            properties = {**mapping_of(merged, "properties"), **mapping_of(node, "properties")}
            required = [*names_of(merged, "required"), *names_of(node, "required")]
            merged |= node
            if properties:
                merged["properties"] = properties
            if required:
                merged["required"] = required
    return merged


def without_of(node: Mapping[str, Any], keyword: str) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name != keyword}


def mapping_of(node: Mapping[str, Any], keyword: str) -> Mapping[str, Any]:
    found = node.get(keyword)
    if found is not None and not isinstance(found, dict):
        raise SchemaError(f"'{keyword}' must be an object, not {found!r:.60}.")
    return found or {}


def list_of(node: Mapping[str, Any], keyword: str) -> list[Any]:
    found = node.get(keyword)
    if found is not None and not isinstance(found, list):
        raise SchemaError(f"'{keyword}' must be an array, not {found!r:.60}.")
    return found or []


def names_of(node: Mapping[str, Any], keyword: str) -> list[str]:
    found = list_of(node, keyword)
    if not all(isinstance(name, str) for name in found):
        raise SchemaError(f"'{keyword}' must be an array of strings, not {found!r:.60}.")
    return found


def whole_of(node: Mapping[str, Any], keyword: str, default: int) -> int:
    found = node.get(keyword, default)
    if type(found) is not int or found < 0:
        raise SchemaError(f"'{keyword}' must be a non-negative integer, not {found!r:.60}.")
    return found


def number_of(node: Mapping[str, Any], keyword: str, default: float) -> float:
    found = node.get(keyword, default)
    if type(found) not in (int, float) or abs(found) > EXACT:
        raise SchemaError(f"'{keyword}' must be a number that this model can write, not {found!r:.60}.")
    return float(found)
