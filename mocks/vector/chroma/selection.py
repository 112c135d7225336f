"""The records that a request means by ids and filters, and their metadata.

A record's metadata is the payload of its point; its URI lies there too, under a key of Chroma's own, as on the real server.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson

from mocks.vector.chroma.payloads import Selection
from mocks.vector.chroma.where import Clause, parse_where, parse_where_document
from mocks.vector.collection import Collection, Payload, Point
from mocks.vector.index import Mask

URI_KEY = "chroma:uri"


def shown_metadata(payload: Payload | None) -> dict[str, Any] | None:
    """A record's metadata as its caller sees it: null where there is none."""
    return {key: value for key, value in payload.items() if key != URI_KEY} if payload else None


class Chosen:
    """The records that a selection means. Raises VectorError on construction where a filter is wrong."""

    def __init__(self, collection: Collection, selection: Selection) -> None:
        self._collection = collection
        self.ids = selection.ids
        self._clauses: list[Clause] = []
        if selection.where is not None:
            self._clauses.append(parse_where(selection.where))
        if selection.where_document is not None:
            self._clauses.append(parse_where_document(selection.where_document))
        self._fingerprint = hashlib.blake2b(orjson.dumps([selection.ids, selection.where, selection.where_document])).digest()

    @property
    def filtered(self) -> bool:
        """Whether metadata or documents decide, not ids alone."""
        return bool(self._clauses)

    def points(self) -> list[Point]:
        """Those records, in the order in which they came."""
        known = self._collection.points
        if self.ids is None:
            candidates: Sequence[Point] = list(known.values())
        else:
            wanted = {id for id in self.ids if id in known}
            few = [known[id] for id in wanted]
            candidates = few if len(few) < 2 else [point for id, point in known.items() if id in wanted]
        return [point for point in candidates if self._holds(point)]

    def mask(self) -> Mask | None:
        """The rows that a search may find; None for all."""
        if self.ids is None and not self._clauses:
            return None
        wanted = None if self.ids is None else set(self.ids)
        return self._collection.mask(self._fingerprint, lambda point: (wanted is None or point.id in wanted) and self._holds(point))

    def _holds(self, point: Point) -> bool:
        return all(clause(point.payload, point.document) for clause in self._clauses)
