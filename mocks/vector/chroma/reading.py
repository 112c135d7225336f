"""What a request reads of a collection: records, neighbours, and their columns in the answer."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mocks.vector.call import Outcome
from mocks.vector.chroma.errors import internal
from mocks.vector.chroma.payloads import Get, Query
from mocks.vector.chroma.selection import URI_KEY, Chosen, shown_metadata
from mocks.vector.chroma.vectors import as_float32, check_dimensions
from mocks.vector.collection import Collection, Match, Point, PointId
from mocks.vector.history import Past
from mocks.vector.index import Floats, nearer_is_larger
from mocks.vector.plan import Hit, Hits


def get(collection: Collection, request: Get) -> Outcome:
    """Records by id or filter, page by page. Raises VectorError."""
    chosen = Chosen(collection, request.selection)
    end = None if request.limit is None else request.offset + request.limit
    points = chosen.points()[request.offset : end]
    hits = [_hit(collection, point, None, "embeddings" in request.include) for point in points]
    others = Others(collection, chosen, None, request.include, request.offset + len(points))
    return Outcome(lambda lists: _shown(lists[0], request.include), [hits], [others])


def query(collection: Collection, request: Query) -> Outcome:
    """The nearest records to each of several vectors. Raises VectorError."""
    chosen = Chosen(collection, request.selection)
    vectors = as_float32(request.embeddings)
    check_dimensions(vectors, collection.dimensions())
    if chosen.ids is not None and not collection.points.keys() >= set(chosen.ids):
        raise internal("Error executing plan: Internal error: Error finding id")
    others = [Others(collection, chosen, vector, request.include, request.n_results) for vector in vectors]
    lists = [other.nearest(request.n_results) for other in others]
    return Outcome(lambda lists: _answer(lists, request.include), lists, others, searches=True)


class Others:
    """What else could have been answered: to a query vector, or (None) to a request for records, which are then taken in their order.

    The answer itself ends with the `last` of them.
    """

    def __init__(self, collection: Collection, chosen: Chosen, vector: Floats | None, include: Sequence[str], last: int) -> None:
        self._collection = collection
        self._chosen = chosen
        self._vector = vector
        self._embeddings = "embeddings" in include
        self._last = last

    def nearest(self, k: int, *, filtered: bool = True) -> Hits:
        """The true best `k`."""
        return self._found(k, filtered=filtered, farthest=False)

    def farthest(self, k: int, *, filtered: bool = True) -> Hits:
        """The worst `k`, worst first."""
        return self._found(k, filtered=filtered, farthest=True)

    def behind(self, k: int) -> Hits:
        """The `k` after the last of the answer."""
        return self.nearest(self._last + k)[self._last :]

    def before(self, id: PointId, keys: Sequence[str]) -> Past | None:
        """What a record held before it was last changed."""
        return self._collection.before(id, keys)

    def _found(self, k: int, *, filtered: bool, farthest: bool) -> Hits:
        if self._vector is None:
            points = self._chosen.points() if filtered else list(self._collection.points.values())
            picked = points[::-1][:k] if farthest else points[:k]
            return [_hit(self._collection, point, None, self._embeddings) for point in picked]
        if self._collection.dimensions() is None:
            return []
        allowed = self._chosen.mask() if filtered else None
        matches = self._collection.search(self._vector[None, :], k, allowed=allowed, farthest=farthest)[0]
        return [_hit(self._collection, one.point, _distance(self._collection, one), self._embeddings) for one in matches]


def _hit(collection: Collection, point: Point, distance: float | None, embedding: bool) -> Hit:
    """Its vector goes along only where the answer shows it."""
    vector = collection.vector(point) if embedding else None
    return Hit(point.id, distance, point.payload, {} if vector is None else {"": vector}, point.document, point.version)


def _distance(collection: Collection, match: Match) -> float | None:
    """Similarities become distances as `1 - similarity`, in float32. What is no finite number is null, as the server spells it."""
    similar = nearer_is_larger(collection.spaces[""].metric)
    distance = float(np.float32(1) - np.float32(match.score)) if similar else match.score
    return distance if math.isfinite(distance) else None


def _answer(lists: Sequence[Hits], include: Sequence[str]) -> dict[str, Any]:
    """The columns of several lists of hits."""
    answers = [_shown(hits, include, scored=True) for hits in lists]
    columns = ("ids", "embeddings", "documents", "uris", "metadatas", "distances")
    shown = {column: [one[column] for one in answers] if column == "ids" or column in include else None for column in columns}
    return {**shown, "include": list(include)}


def _shown(hits: Hits, include: Sequence[str], *, scored: bool = False) -> dict[str, Any]:
    """The columns of one list of hits; a column that was not asked for is null."""
    answer: dict[str, Any] = {
        "ids": [hit.id for hit in hits],
        "embeddings": [hit.vectors.get("") for hit in hits] if "embeddings" in include else None,
        "documents": [hit.document for hit in hits] if "documents" in include else None,
        "uris": [(hit.payload or {}).get(URI_KEY) for hit in hits] if "uris" in include else None,
        "metadatas": [shown_metadata(hit.payload) for hit in hits] if "metadatas" in include else None,
    }
    if scored:
        distances = [None if hit.score is None else np.float32(hit.score) for hit in hits]
        answer["distances"] = distances if "distances" in include else None
    answer["include"] = list(include)
    return answer
