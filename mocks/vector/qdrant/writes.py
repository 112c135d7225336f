"""Changes of points: each is checked first and gives the function that makes it."""

from collections.abc import Callable, Mapping
from typing import Any

from mocks.vector.collection import Collection, NewPoint, Payload, Point, PointId
from mocks.vector.qdrant import errors
from mocks.vector.qdrant.decode import FormatError, RangeError, a_list, an_object, field, path, payload, point_id, text
from mocks.vector.qdrant.filters import compile_filter
from mocks.vector.qdrant.paths import merged, with_value, without
from mocks.vector.qdrant.vectors import all_fitted, batch_vectors, check_names, point_vectors
from mocks.vector.store import Store

Body = Mapping[str, Any]
Commit = Callable[[], None]
Selected = tuple[list[Point], list[PointId]]
"""Points that are there, and ids that were asked for and are not."""

_MODES = ("upsert", "insert_only", "update_only")


def upsert(store: Store, collection: Collection, body: Body) -> Commit:
    """`PUT /points`: a list of points, or a batch in columns."""
    points = _listed(body) if "points" in body else _batch(body)
    new = [NewPoint(id, all_fitted(collection, vectors), held) for id, vectors, held in points]
    mode = body.get("update_mode") or "upsert"
    if mode not in _MODES:
        raise FormatError(f"unknown variant `{mode}`, expected one of `upsert`, `insert_only`, `update_only`")
    test = None if body.get("update_filter") is None else compile_filter(body["update_filter"])

    def wanted(one: NewPoint) -> bool:
        held = collection.points.get(one.id)
        if held is None:
            return mode != "update_only"
        return mode != "insert_only" and (test is None or test(held))

    if mode == "upsert" and test is None:
        return lambda: store.put(collection, new)
    return lambda: store.put(collection, [one for one in new if wanted(one)])


def delete(store: Store, collection: Collection, body: Body) -> Commit:
    """`POST /points/delete`."""
    select = _selector(collection, body)

    def commit() -> None:
        store.delete(collection, [point.id for point in select()[0]])

    return commit


def set_payload(store: Store, collection: Collection, body: Body) -> Commit:
    """`POST /points/payload`: merged into what there is, at `key` where that is given."""
    more = an_object(field(body, "payload"), "a map")
    key = None if body.get("key") is None else path(body["key"])
    return _change_payload(store, collection, body, lambda held: merged(held, more) if key is None else with_value(held, key, more))


def overwrite_payload(store: Store, collection: Collection, body: Body) -> Commit:
    """`PUT /points/payload`: in the place of what there is, at `key` where that is given."""
    new = an_object(field(body, "payload"), "a map")
    key = None if body.get("key") is None else path(body["key"])
    return _change_payload(store, collection, body, lambda held: new if key is None else with_value(without(held, key), key, new))


def delete_payload(store: Store, collection: Collection, body: Body) -> Commit:
    """`POST /points/payload/delete`."""
    keys = a_list(field(body, "keys"), path)

    def change(held: Payload) -> Payload:
        for key in keys:
            held = without(held, key)
        return held

    return _change_payload(store, collection, body, change)


def clear_payload(store: Store, collection: Collection, body: Body) -> Commit:
    """`POST /points/payload/clear`."""
    return _change_payload(store, collection, body, lambda _: {}, _selector(collection, body))


def update_vectors(store: Store, collection: Collection, body: Body) -> Commit:
    """`PUT /points/vectors`: the vectors named, the others stay."""
    entries = a_list(field(body, "points"), lambda one: an_object(one, "struct PointVectors"))
    vectors = {point_id(field(one, "id")): all_fitted(collection, point_vectors(field(one, "vector"))) for one in entries}
    test = None if body.get("update_filter") is None else compile_filter(body["update_filter"])

    def commit() -> None:
        points, missing = _by_ids(collection, list(vectors))
        store.set_vectors(collection, {point.id: vectors[point.id] for point in points if test is None or test(point)})
        _refuse_missing(missing)

    return commit


def delete_vectors(store: Store, collection: Collection, body: Body) -> Commit:
    """`POST /points/vectors/delete`."""
    names = a_list(field(body, "vector"), text)
    if not names:
        raise RangeError("vector: must not be empty")
    check_names(collection, names)
    select = _points_or_filter(collection, body)

    def commit() -> None:
        store.set_vectors(collection, {point.id: dict.fromkeys(names) for point in select()[0]})

    return commit


def _listed(body: Body) -> list[tuple[PointId, dict[str, Any], Payload]]:
    return [
        (point_id(field(one, "id")), point_vectors(field(one, "vector")), payload(one.get("payload")))
        for one in a_list(body["points"], lambda one: an_object(one, "struct PointStruct"))
    ]


def _batch(body: Body) -> list[tuple[PointId, dict[str, Any], Payload]]:
    if "batch" not in body:
        raise FormatError("data did not match any variant of untagged enum PointInsertOperations")
    batch = an_object(body["batch"], "struct Batch")
    ids = a_list(field(batch, "ids"), point_id)
    vectors = batch_vectors(field(batch, "vectors"), len(ids))
    payloads = [{}] * len(ids) if batch.get("payloads") is None else a_list(batch["payloads"], payload)
    if len(payloads) != len(ids):
        raise errors.wrong_input(f"Number of ids and payloads must be equal ({len(ids)} != {len(payloads)})")
    return list(zip(ids, vectors, payloads, strict=True))


def _change_payload(
    store: Store, collection: Collection, body: Body, change: Callable[[Payload], Payload], select: Callable[[], Selected] | None = None
) -> Commit:
    selected = select or _points_or_filter(collection, body)

    def commit() -> None:
        points, missing = selected()
        store.set_payloads(collection, {point.id: (change(point.payload), point.document) for point in points})
        _refuse_missing(missing)

    return commit


def _refuse_missing(missing: list[PointId]) -> None:
    if missing:
        raise errors.not_found(f"No point with id {missing[0]} found")


def _selector(collection: Collection, body: Body) -> Callable[[], Selected]:
    if body.get("points") is None and body.get("filter") is None:
        raise FormatError("data did not match any variant of untagged enum PointsSelector")
    return _points_or_filter(collection, body)


def _points_or_filter(collection: Collection, body: Body) -> Callable[[], Selected]:
    if body.get("points") is not None:
        ids = a_list(body["points"], point_id)
        return lambda: _by_ids(collection, ids)
    if body.get("filter") is None:
        raise RangeError("__all__: Either list of point ids or filter must be provided")
    test = compile_filter(body["filter"])
    return lambda: ([point for point in collection.points.values() if test(point)], [])


def _by_ids(collection: Collection, ids: list[PointId]) -> Selected:
    points = [collection.points[id] for id in dict.fromkeys(ids) if id in collection.points]
    return points, [id for id in ids if id not in collection.points]


OPERATIONS: dict[str, Callable[[Store, Collection, Body], Commit]] = {
    "upsert": upsert,
    "delete": delete,
    "set_payload": set_payload,
    "overwrite_payload": overwrite_payload,
    "delete_payload": delete_payload,
    "clear_payload": clear_payload,
    "update_vectors": update_vectors,
    "delete_vectors": delete_vectors,
}
"""By the names that a batch gives them."""


def batch(store: Store, collection: Collection, body: Body) -> list[Commit]:
    """`POST /points/batch`: the changes, in order."""
    commits = []
    for one in a_list(field(body, "operations"), lambda one: an_object(one, "enum UpdateOperation")):
        kind = next(iter(one), "")
        if len(one) != 1 or kind not in OPERATIONS:
            raise FormatError("data did not match any variant of untagged enum UpdateOperation")
        commits.append(OPERATIONS[kind](store, collection, an_object(one[kind], "a map")))
    return commits
