"""A collection of points, as both products keep it, and the changes that are made to it."""

import heapq
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from mocks.vector.history import Deleted, Past
from mocks.vector.index import Floats, Mask, Metric, VectorIndex

PointId = int | str
Payload = dict[str, Any]

_MASKS_KEPT = 32

ChangeKind = Literal["create", "drop", "configure", "note", "put", "payload", "vectors", "delete", "renew"]


class Change(NamedTuple):
    """One change of a store: everything that is needed to make it again. `document` is JSON, `vectors` are in the order it names them."""

    kind: ChangeKind
    document: dict[str, Any]
    vectors: Sequence[Floats] = ()


@dataclass(frozen=True, slots=True)
class Space:
    """One of a collection's named vectors (`""` where it has no name). `dimensions` None: those of the first vector that comes."""

    metric: Metric
    dimensions: int | None = None


@dataclass(slots=True)
class Point:
    """A point of a collection; `payload` and `document` are replaced, never changed in place."""

    id: PointId
    row: int
    payload: Payload
    document: str | None
    version: int
    """The number of the change that last touched it, within its collection."""
    names: frozenset[str]
    """The vectors that it has."""
    before: Past | None = None

    @property
    def held(self) -> Past:
        """What it holds, for when it holds something else."""
        return Past(self.payload, self.document, self.version)


@dataclass(slots=True)
class NewPoint:
    """A point to be put."""

    id: PointId
    vectors: dict[str, Floats]
    payload: Payload = field(default_factory=dict)
    document: str | None = None


class Match(NamedTuple):
    """A point that a search found."""

    point: Point
    score: float


class Collection:
    """Points under one configuration. Reads only: changes go through `Store`."""

    def __init__(self, name: str, scope: str, id: str, config: Mapping[str, Any], spaces: Mapping[str, Space]) -> None:
        self.name = name
        self.scope = scope
        self.id = id
        """A new one for every collection that is created, whatever its name."""
        self.config = dict(config)
        self.spaces = dict(spaces)
        self.revision = 0
        """How many changes its points have seen."""
        self.points: dict[PointId, Point] = {}
        """In the order in which they came."""
        self._indexes: dict[str, VectorIndex] = {}
        self._rows: list[Point | None] = []
        self._free: list[int] = []
        self._sorted: list[PointId] | None = None
        self._masks: OrderedDict[bytes, Mask] = OrderedDict()
        self._deleted = Deleted()

    def dimensions(self, space: str = "") -> int | None:
        """How many numbers its vectors of that name have; None while that is open."""
        index = self._indexes.get(space)
        return index.dimensions if index is not None else self.spaces[space].dimensions

    def vector(self, point: Point, space: str = "") -> Floats | None:
        """A point's vector of that name; None where it has none."""
        index = self._indexes.get(space)
        return None if index is None else index.vector(point.row)

    def vectors_count(self, space: str) -> int:
        """How many points have a vector of that name."""
        return len(self._indexes[space]) if space in self._indexes else 0

    @property
    def size_bytes(self) -> int:
        """Memory of its vectors."""
        return sum(index.size_bytes for index in self._indexes.values())

    @property
    def rows(self) -> int:
        """The length of its masks."""
        return len(self._rows)

    def search(self, queries: Floats, k: int, space: str = "", allowed: Mask | None = None, *, farthest: bool = False) -> list[list[Match]]:
        """The best `k` points for each query (shape: queries x dimensions), best first; `farthest`: the worst `k`, worst first."""
        index = self._indexes.get(space)
        if index is None:
            return [[] for _ in queries]
        rankings = index.search(queries, k, allowed, farthest=farthest)
        return [
            [Match(self._at(row), score) for row, score in zip(rows.tolist(), scores.tolist(), strict=True)] for rows, scores in rankings
        ]

    def score(self, point: Point, query: Floats, space: str = "") -> float | None:
        """The score of one point; None where it has no such vector."""
        return self._indexes[space].score(point.row, query) if space in point.names else None

    def mask(self, fingerprint: bytes, condition: Callable[[Point], bool]) -> Mask:
        """The rows of the points for which the condition holds. It is tested once per revision: `fingerprint` (short) stands for it."""
        known = self._masks.get(fingerprint)
        if known is not None:
            self._masks.move_to_end(fingerprint)
            return known
        mask = np.fromiter((point is not None and condition(point) for point in self._rows), np.bool_, len(self._rows))
        self._masks[fingerprint] = mask
        if len(self._masks) > _MASKS_KEPT:
            self._masks.popitem(last=False)
        return mask

    def marked(self, mask: Mask) -> list[Point]:
        """The points that a mask marks, in the order of their rows."""
        return [self._at(row) for row in np.flatnonzero(mask).tolist()]

    def before(self, id: PointId, keys: Sequence[str] = ()) -> Past | None:
        """What a point held before it was last changed; or, by one of `keys`, the deleted point whose newer version it is."""
        point = self.points.get(id)
        if point is None:
            return None
        return point.before or self._deleted.older_version(point.held, keys)

    def sorted_ids(self) -> list[PointId]:
        """All ids: numbers first, in order, then texts in theirs."""
        if self._sorted is None:
            self._sorted = sorted(self.points, key=_id_order)
        return self._sorted

    def ids_from(self, start: PointId) -> list[PointId]:
        """The sorted ids from `start` on (included where it exists)."""
        ids = self.sorted_ids()
        at = bisect_right(ids, _id_order(start), key=_id_order)
        return ids[at - 1 :] if at and ids[at - 1] == start else ids[at:]

    def changes(self) -> Iterator[Change]:
        """The changes that make this collection, points in their order."""
        spaces = {name: [space.metric, space.dimensions] for name, space in self.spaces.items()}
        known = {"id": self.id, "name": self.name, "scope": self.scope, "config": self.config, "spaces": spaces}
        yield Change("create", {**known, "revision": self.revision})
        for point in self.points.values():
            vectors = {name: self._indexes[name].vector(point.row) for name in sorted(point.names)}
            new = NewPoint(
                point.id, {name: vector for name, vector in vectors.items() if vector is not None}, point.payload, point.document
            )
            yield put_change(self.id, [new], version=point.version)

    def _at(self, row: int) -> Point:
        point = self._rows[row]
        assert point is not None, "an index holds a row that has no point"
        return point

    def make(self, change: Change) -> None:
        """Make a change of its points (`put`, `payload`, `vectors`, `delete`); `Store` alone calls it."""
        version = change.document.get("version")
        if version is None:
            self.revision += 1
            version = self.revision
        self._masks.clear()
        _MAKERS[change.kind](self, change, version)

    def _put(self, change: Change, version: int) -> None:
        floats = iter(change.vectors)
        for id, payload, text, names in change.document["points"]:
            self._place(NewPoint(id, {name: next(floats) for name in names}, payload, text), version)

    def _payload(self, change: Change, version: int) -> None:
        for id, payload, text in change.document["points"]:
            self._replace(self.points[id], payload, text, version)

    def _vectors(self, change: Change, version: int) -> None:
        floats = iter(change.vectors)
        for id, names, gone in change.document["points"]:
            point = self.points[id]
            self._set_vectors(point, {name: next(floats) for name in names}, gone)
            point.version = version

    def _delete(self, change: Change, _version: int) -> None:
        for id in change.document["ids"]:
            self._remove(id)

    def _place(self, new: NewPoint, version: int) -> None:
        point = self.points.get(new.id)
        if point is None:
            row = heapq.heappop(self._free) if self._free else len(self._rows)
            point = Point(new.id, row, new.payload, new.document, version, frozenset())
            if row == len(self._rows):
                self._rows.append(point)
            else:
                self._rows[row] = point
            self.points[new.id] = point
            self._sorted = None
            deleted = self._deleted.take(new.id)
            if deleted is not None and deleted.replaced_by(new.payload, new.document):
                point.before = deleted
        else:
            self._replace(point, new.payload, new.document, version)
        self._set_vectors(point, new.vectors, point.names - new.vectors.keys())

    @staticmethod
    def _replace(point: Point, payload: Payload, document: str | None, version: int) -> None:
        if point.held.replaced_by(payload, document):
            point.before = point.held
        point.payload, point.document, point.version = payload, document, version

    def _set_vectors(self, point: Point, vectors: Mapping[str, Floats], gone: Iterable[str]) -> None:
        for name in gone:
            if name in self._indexes:
                self._indexes[name].drop(point.row)
        for name, vector in vectors.items():
            if name not in self._indexes:
                space = self.spaces[name]
                self._indexes[name] = VectorIndex(space.dimensions or len(vector), space.metric)
            self._indexes[name].put(point.row, vector)
        point.names = (point.names - frozenset(gone)) | vectors.keys()

    def _remove(self, id: PointId) -> None:
        point = self.points.pop(id, None)
        if point is None:
            return
        for name in point.names:
            self._indexes[name].drop(point.row)
        self._rows[point.row] = None
        heapq.heappush(self._free, point.row)
        self._sorted = None
        self._deleted.keep(id, point.held)


_MAKERS: dict[ChangeKind, Callable[[Collection, Change, int], None]] = {
    "put": Collection._put,
    "payload": Collection._payload,
    "vectors": Collection._vectors,
    "delete": Collection._delete,
}


def put_change(collection: str, points: Sequence[NewPoint], version: int | None = None) -> Change:
    """The change that puts points; `version` where it is known already."""
    document: dict[str, Any] = {
        "collection": collection,
        "points": [[point.id, point.payload, point.document, list(point.vectors)] for point in points],
    }
    if version is not None:
        document["version"] = version
    return Change("put", document, [vector for point in points for vector in point.vectors.values()])


def _id_order(id: PointId) -> tuple[bool, int, str]:
    return (True, 0, id) if isinstance(id, str) else (False, id, "")
