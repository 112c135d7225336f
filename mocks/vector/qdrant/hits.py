"""Points on their way out: which parts of them were asked for, and their JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mocks.vector.collection import Collection, Payload, Point
from mocks.vector.plan import Hit
from mocks.vector.qdrant.decode import FormatError, a_list, path, text
from mocks.vector.qdrant.paths import excluding, including, tree


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a point goes out: `payload` None leaves it out; `vectors` true means all, a list those named."""

    payload: Callable[[Payload], Payload] | None
    vectors: bool | tuple[str, ...]


def parts(body: Mapping[str, Any], *, payload_default: bool) -> Parts:
    """What a request asks for. Raises FormatError."""
    vectors = body.get("with_vector", body.get("with_vectors"))
    if vectors is None:
        vectors = False
    if not isinstance(vectors, bool):
        vectors = tuple(a_list(vectors, text))
    return Parts(_selector(body.get("with_payload"), default=payload_default), vectors)


def _selector(document: Any, *, default: bool) -> Callable[[Payload], Payload] | None:
    if document is None:
        document = default
    if isinstance(document, bool):
        return _whole if document else None
    if isinstance(document, list):
        document = {"include": document}
    if not isinstance(document, dict) or len(document) != 1 or next(iter(document)) not in ("include", "exclude"):
        raise FormatError("data did not match any variant of untagged enum WithPayloadInterface")
    ((how, keys),) = document.items()
    chosen = tree(a_list(keys, path))
    cut = including if how == "include" else excluding
    return lambda payload: dict(cut(payload, chosen))


def _whole(payload: Payload) -> Payload:
    return payload


def hit(collection: Collection, point: Point, score: float | None, wanted: Parts) -> Hit:
    """A point as found, with its vectors where any are asked for."""
    vectors = {}
    if wanted.vectors:
        found = {name: collection.vector(point, name) for name in sorted(point.names)}
        vectors = {name: vector for name, vector in found.items() if vector is not None}
    return Hit(point.id, score, point.payload, vectors, point.document, point.version)


def record(one: Hit, wanted: Parts) -> dict[str, Any]:
    """The JSON of a point that was read."""
    shown: dict[str, Any] = {"id": one.id}
    if wanted.payload is not None:
        shown["payload"] = None if one.payload is None else wanted.payload(one.payload)
    if wanted.vectors:
        shown["vector"] = _vectors(one, wanted.vectors)
    return shown


def scored(one: Hit, wanted: Parts) -> dict[str, Any]:
    """The JSON of a point that was found."""
    rest = record(one, wanted)
    return {"id": rest.pop("id"), "version": one.version, "score": None if one.score is None else np.float32(one.score), **rest}


def _vectors(one: Hit, wanted: bool | tuple[str, ...]) -> Any:
    if set(one.vectors) == {""}:
        return one.vectors[""]
    return {name: vector for name, vector in one.vectors.items() if wanted is True or name in wanted}  # type: ignore[operator]  # a tuple, where it is not true
