"""What an API server says against a document: by the types of the `kubernetes` client, generated from the API's own OpenAPI document, and
for custom resources by the facts of their definitions (`custom.py`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from harness.cluster import KINDS
from tests.cluster import custom

QUANTITY = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)(m|k|[KMGTPE]i?|[eE][+-]?\d+)?$")
DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
LABEL_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")
LABEL_NAME = re.compile(r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
QUANTITIES = re.compile(r"\.(requests|limits)\.[\w-]+$|\.sizeLimit$")


class Misfit(str):
    """`path: what is wrong`. `kind` is unknown (a field that there is not), type, or value."""

    kind: str

    def __new__(cls, kind: str, path: str, text: str) -> Misfit:
        made = super().__new__(cls, f"{path}: {text}")
        made.kind = kind
        return made


def misfits(document: Mapping[str, Any]) -> list[Misfit]:
    """Everything that is wrong with an object; empty for one that a server takes."""
    kind = KINDS.get(document.get("kind", ""))
    if kind is None or document.get("apiVersion") != kind.api_version:
        return [Misfit("value", "kind", f'no matches for kind "{document.get("kind")}" in version "{document.get("apiVersion")}"')]
    schema = custom.SCHEMAS.get(document["kind"])
    found = list(_of_metadata(document.get("metadata"), kind.namespaced))
    if schema is not None:
        extra = {key: value for key, value in document.items() if key not in ("apiVersion", "kind", "metadata")}
        return [*found, *(Misfit(what, path, text) for what, path, text in custom.misfits(extra, schema, ""))]
    return [*found, *_of_model(document, model_name(document), "")]


def model_name(document: Mapping[str, Any]) -> str:
    """`V1Deployment` for a Deployment of apps/v1."""
    version = document["apiVersion"].rpartition("/")[2]
    return f"{version[0].upper()}{version[1:]}{document['kind']}"


@cache
def _model(name: str) -> Any:
    from kubernetes.client import models

    return getattr(models, name)


def _of_model(document: Any, name: str, path: str) -> Iterator[Misfit]:
    """Every field by its own type; then what is missing."""
    if not isinstance(document, dict):
        yield Misfit("type", path or ".", f"expected an object ({name}), got {type(document).__name__}")
        return
    model = _model(name)
    by_key = {key: field for field, key in model.attribute_map.items()}
    for key, value in document.items():
        if key not in by_key:
            yield Misfit("unknown", f"{path}.{key}".lstrip("."), "unknown field")
        else:
            yield from _of_type(value, model.openapi_types[by_key[key]], f"{path}.{key}".lstrip("."))
    for name, field in model.model_fields.items():
        key = field.serialization_alias or name
        if field.is_required() and document.get(key) is None:
            yield Misfit("value", f"{path}.{key}".lstrip("."), "Required value")


_PLAIN: Mapping[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def _of_type(value: Any, name: str, path: str) -> Iterator[Misfit]:
    if value is None or name == "object":
        return  # null is as good as nothing; an object may be anything (a port by name or number, a resource)
    if match := re.fullmatch(r"List\[(.*)\]", name):
        yield from _of_many(list, value, match[1], path, ((f"{path}[{n}]", entry) for n, entry in enumerate(_if(list, value))))
    elif match := re.fullmatch(r"Dict\[str, (.*)\]", name):
        yield from _of_many(dict, value, match[1], path, ((f"{path}.{key}", entry) for key, entry in _if(dict, value).items()))
    elif name in _PLAIN:
        if not isinstance(value, _PLAIN[name]) or (name != "bool" and isinstance(value, bool)):
            yield Misfit("type", path, f"expected {name}, got {type(value).__name__}")
        elif QUANTITIES.search(path) and not QUANTITY.match(str(value)):
            yield Misfit("value", path, f"{value!r} is no quantity")
    elif name in _WRITTEN:
        if not _WRITTEN[name](value):
            yield Misfit("type", path, f"{value!r} is no {name}")
    else:
        yield from _of_model(value, name, path)


def _of_many(kind: type, value: Any, name: str, path: str, entries: Iterator[tuple[str, Any]]) -> Iterator[Misfit]:
    if not isinstance(value, kind):
        yield Misfit("type", path, f"expected a {kind.__name__}, got {type(value).__name__}")
    for where, entry in entries:
        yield from _of_type(entry, name, where)


def _if(kind: type, value: Any) -> Any:
    return value if isinstance(value, kind) else kind()


def _of_metadata(metadata: Any, namespaced: bool) -> Iterator[Misfit]:
    """Names and labels, whatever the kind."""
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        yield Misfit("value", "metadata.name", "Required value")
        return
    if not DNS_LABEL.match(metadata["name"]):
        yield Misfit("value", "metadata.name", f"Invalid value: {metadata['name']!r}: must be a lowercase RFC 1123 label")
    if namespaced and not metadata.get("namespace"):
        yield Misfit("value", "metadata.namespace", "Required value")
    for name, value in (metadata.get("labels") or {}).items():
        if not LABEL_NAME.match(name) or not isinstance(value, str) or not LABEL_VALUE.match(value):
            yield Misfit("value", f"metadata.labels.{name}", f"Invalid value: {value!r}")


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_base64(value: object) -> bool:
    try:
        base64.b64decode(str(value), validate=True)
    except binascii.Error:
        return False
    return isinstance(value, str)


_WRITTEN: Mapping[str, Callable[[object], bool]] = {"datetime": _is_time, "bytes": _is_base64}
