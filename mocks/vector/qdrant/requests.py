"""The universal query from its JSON."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import orjson

from mocks.vector.collection import Collection, PointId
from mocks.vector.index import Floats, Mask
from mocks.vector.qdrant import errors
from mocks.vector.qdrant.decode import FormatError, a_list, an_object, at_least, field, number, point_id, text
from mocks.vector.qdrant.filters import compile_filter
from mocks.vector.qdrant.fusion import fusion
from mocks.vector.qdrant.order import order_by
from mocks.vector.qdrant.queries import Query, Target
from mocks.vector.qdrant.vectors import check_space, fitted, query_vector

Body = Mapping[str, Any]
Find = Callable[[str], Collection]

_LIMIT = 10
_MOST_NESTED = 16
_UNSUPPORTED = ("discover", "context", "formula", "sample", "relevance_feedback", "text")


def mask_of(collection: Collection, document: Any) -> Mask | None:
    """The rows that a filter lets through; None where there is none. Raises FormatError, RangeError."""
    if document is None:
        return None
    condition = compile_filter(document)
    return collection.mask(blake2b(orjson.dumps(document)).digest(), condition)


def parse(collection: Collection, body: Body, find: Find, depth: int = 0, outer: Mask | None = None) -> Query:
    """A query from its JSON; what it prefetches must pass its filter (`outer`) as well. Raises VectorError, FormatError, RangeError."""
    if depth > _MOST_NESTED:
        raise errors.wrong_input("prefetches are nested too deeply")
    allowed = _both(outer, mask_of(collection, body.get("filter")))
    prefetch = _prefetches(collection, body, find, depth, allowed)
    wanted = _wanted(body.get("query"))
    kind, value = wanted if wanted is not None else ("", None)
    common: dict[str, Any] = {
        "collection": collection,
        "limit": at_least(body, "limit", 1, _LIMIT),
        "offset": at_least(body, "offset", 0, 0),
        "threshold": None if body.get("score_threshold") is None else number(body["score_threshold"]),
        "allowed": allowed,
        "prefetch": prefetch,
    }
    if kind in ("fusion", "rrf"):
        if not prefetch:
            raise errors.wrong_input("A query is needed to merge the prefetches. Can't have query: fusion without prefetches")
        return Query(**common, fusion=fusion(kind, value, len(prefetch)))
    if kind == "order_by":
        return Query(**common, order=order_by(collection, value))
    if not kind:
        if prefetch:
            raise errors.wrong_input("A query is needed to merge the prefetches. Can't have prefetches without defining a query.")
        return Query(**common)
    using = "" if body.get("using") is None else text(body["using"])
    reader = _recommended if kind == "recommend" else _nearest
    return Query(**common, target=reader(collection, using, value, _lookup(body, collection, using, find)))


def _prefetches(collection: Collection, body: Body, find: Find, depth: int, outer: Mask | None) -> tuple[Query, ...]:
    given = body.get("prefetch")
    if given is None:
        return ()
    each = a_list(given if isinstance(given, list) else [given], lambda one: an_object(one, "struct Prefetch"))
    return tuple(parse(collection, one, find, depth + 1, outer) for one in each)


def _both(outer: Mask | None, own: Mask | None) -> Mask | None:
    if outer is None or own is None:
        return own if outer is None else outer
    return outer & own


def _wanted(document: Any) -> tuple[str, Any] | None:
    """The kind of a query and what belongs to it; a bare vector or id is one for its neighbours."""
    if document is None:
        return None
    if not isinstance(document, dict):
        return "nearest", document
    for kind in ("nearest", "recommend", "fusion", "rrf", "order_by"):
        if kind in document:
            if document.get("mmr") is not None:
                raise errors.unsupported("mmr")
            return kind, document[kind]
    unsupported = next((kind for kind in _UNSUPPORTED if kind in document), None)
    if unsupported is not None:
        raise errors.unsupported(f"a query of kind {unsupported}")
    if "indices" in document:
        raise errors.unsupported("a sparse vector")
    raise FormatError("data did not match any variant of untagged enum QueryInterface")


Lookup = Callable[[PointId], Floats]


def _lookup(body: Body, collection: Collection, using: str, find: Find) -> Lookup:
    place = body.get("lookup_from")
    if place is not None:
        given = an_object(place, "struct LookupLocation")
        collection = find(text(field(given, "collection")))
        using = text(given["vector"]) if given.get("vector") is not None else using

    def look(id: PointId) -> Floats:
        point = collection.points.get(id)
        vector = None if point is None else collection.vector(point, using)
        if vector is None:
            raise errors.not_found(f"No point with id {id} found")
        return vector

    return look


def _nearest(collection: Collection, using: str, document: Any, look: Lookup) -> Target:
    check_space(collection, using)
    vector, source = _example(collection, using, document, look)
    return Target(vector, using, source)


def _recommended(collection: Collection, using: str, document: Any, look: Lookup) -> Target:
    """Qdrant's average: the mean of what is liked, moved away from the mean of what is not."""
    check_space(collection, using)
    given = an_object(document, "struct RecommendInput")
    if given.get("strategy") not in (None, "average_vector"):
        raise errors.unsupported(f"the recommend strategy {given['strategy']}")
    liked, not_liked = (
        a_list(given.get(key) or [], lambda one: _example(collection, using, one, look)) for key in ("positive", "negative")
    )
    if not liked:
        raise errors.wrong_input("At least one positive vector ID required")
    mean = np.mean([vector for vector, _ in liked], axis=0)
    if not_liked:
        mean = 2 * mean - np.mean([vector for vector, _ in not_liked], axis=0)
    sources = frozenset[PointId]().union(*(source for _, source in (*liked, *not_liked)))
    return Target(fitted(collection, using, mean.astype(np.float32)), using, sources)


def _example(collection: Collection, using: str, document: Any, look: Lookup) -> tuple[Floats, frozenset[PointId]]:
    if isinstance(document, (int, str)) and not isinstance(document, bool):
        id = point_id(document)
        return fitted(collection, using, look(id)), frozenset((id,))
    return query_vector(collection, using, document), frozenset()
