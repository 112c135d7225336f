"""Records of a collection: what a batch adds, changes or deletes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from mocks.vector.call import Outcome
from mocks.vector.chroma.description import key_problem
from mocks.vector.chroma.errors import invalid_argument, invalid_field
from mocks.vector.chroma.payloads import Delete, Records
from mocks.vector.chroma.selection import URI_KEY, Chosen
from mocks.vector.chroma.vectors import check_dimensions, unpack
from mocks.vector.collection import Collection, NewPoint, Payload, PointId
from mocks.vector.index import Floats
from mocks.vector.store import Store

Verb = Literal["add", "upsert", "update"]
"""`add` passes over ids that exist, `update` over those that do not; `upsert` and `update` keep what the batch does not say."""


def delete(store: Store, collection: Collection, request: Delete) -> Outcome:
    """Forget records by id or filter. Ids that are not there are counted, as on the real server. Raises VectorError."""
    chosen = Chosen(collection, request.selection)
    if chosen.ids is not None and not chosen.ids and not chosen.filtered:
        raise invalid_field("ids, where", "Either ids or where must be specified")
    if request.limit is not None and not chosen.filtered:
        raise invalid_field("limit, where", "limit can only be specified when a where clause is provided")
    ids = [point.id for point in chosen.points()][: request.limit] if chosen.filtered else list(chosen.ids or ())
    return Outcome(lambda _: {"deleted": len(ids)}, commit=lambda: _forget(store, collection, ids))


def _forget(store: Store, collection: Collection, ids: Sequence[PointId]) -> None:
    if store.collections.get(collection.id) is collection:
        store.delete(collection, ids)


def write(store: Store, collection: Collection, verb: Verb, records: Records) -> Outcome:
    """Check a batch against its collection; its outcome writes it. Raises VectorError."""
    vectors = unpack(records.embeddings or [])
    _check_metadatas(records.metadatas or [])
    check_dimensions(vectors, collection.dimensions())
    if not records.consistent:
        raise invalid_argument("Inconsistent number of IDs, embeddings, documents, URIs and metadatas")
    if "" in records.ids:
        raise invalid_argument("Empty ID, ID must have at least one character")
    return Outcome(lambda _: {}, status=201 if verb == "add" else 200, commit=_commit(store, collection, verb, records, vectors))


def _commit(store: Store, collection: Collection, verb: Verb, records: Records, vectors: Sequence[Floats | None]) -> Callable[[], None]:
    """What the batch does when its time has come: the collection may have gone by then, or its dimensions be decided."""

    def change() -> None:
        expected = collection.dimensions()
        fits = expected is None or all(vector is None or len(vector) == expected for vector in vectors)
        if fits and store.collections.get(collection.id) is collection:
            store.put(collection, _Batch(records, vectors).points(collection, verb))

    return change


class _Batch:
    """Rows of a batch, merged with what there is."""

    def __init__(self, records: Records, vectors: Sequence[Floats | None]) -> None:
        self._records = records
        self._vectors = vectors

    def points(self, collection: Collection, verb: Verb) -> list[NewPoint]:
        """The points to be put; of an id that comes twice, the first to be added, or the sum of the changes."""
        changed: dict[str, NewPoint] = {}
        for row, id in enumerate(self._records.ids):
            before = changed.get(id) or _present(collection, id)
            if (verb == "add" and before is not None) or (verb == "update" and before is None):
                continue
            changed[id] = self._merged(row, id, before)
        return list(changed.values())

    def _merged(self, row: int, id: str, before: NewPoint | None) -> NewPoint:
        vector = self._vectors[row] if self._vectors else None
        document = self._records.documents[row] if self._records.documents is not None else None
        payload = _changed_payload(before.payload if before else {}, self._metadata(row))
        return NewPoint(
            id,
            {"": vector} if vector is not None else dict(before.vectors) if before else {},
            payload,
            document if document is not None or before is None else before.document,
        )

    def _metadata(self, row: int) -> dict[str, Any]:
        metadata = self._records.metadatas[row] if self._records.metadatas is not None else None
        uri = self._records.uris[row] if self._records.uris is not None else None
        return {**(metadata or {}), **({} if uri is None else {URI_KEY: uri})}


def _present(collection: Collection, id: str) -> NewPoint | None:
    point = collection.points.get(id)
    if point is None:
        return None
    vector = collection.vector(point)
    return NewPoint(id, {} if vector is None else {"": vector}, point.payload, point.document)


def _changed_payload(before: Mapping[str, Any], given: Mapping[str, Any]) -> Payload:
    """Null takes a key away; so does a list without elements, which the server has no place for."""
    merged = {**before, **given}
    return {key: value for key, value in merged.items() if value is not None and value != []}


def _check_metadatas(metadatas: Sequence[Mapping[str, Any] | None]) -> None:
    for row, metadata in enumerate(metadatas):
        if metadata is not None and any(key_problem(key) for key in metadata):
            raise invalid_field("metadatas", f"Invalid metadata at index {row}")
