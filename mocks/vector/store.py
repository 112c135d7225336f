"""All collections of one process; every change of them goes through here."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mocks.vector.collection import Change, ChangeKind, Collection, NewPoint, Payload, PointId, Space, put_change
from mocks.vector.index import Floats


class Archive(Protocol):
    """Where changes are kept beyond the life of the process."""

    def restore(self) -> Iterator[Change]:
        """Every change that leads to the state last kept, in order. To be called once, before anything is appended."""
        ...

    def append(self, change: Change) -> bool:
        """Keep one more, before it is made; whether a snapshot is due once it is. Raises OSError."""
        ...

    def snapshot(self, state: Iterable[Change]) -> None:
        """Keep these changes, which lead to the present state, in the place of all before. Raises OSError."""
        ...

    def close(self) -> None:
        """Nothing more will be kept."""
        ...


class LimitError(Exception):
    """The store is full; the text says of what."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one process holds at most."""

    points: int = 1_000_000
    vector_bytes: int = 2 << 30
    collections: int = 1_000


class Store:
    """All collections of one process. Every change goes through `commit`; what it holds is restored from `archive` on construction."""

    def __init__(self, limits: Limits, archive: Archive | None = None) -> None:
        self.collections: dict[str, Collection] = {}
        """By id, in the order of creation."""
        self.notes: dict[str, Any] = {}
        """JSON that a product keeps beside its collections (aliases, databases), by key. Changed by `note` only."""
        self._named: dict[tuple[str, str], Collection] = {}
        self._limits = limits
        self._archive = archive
        for change in archive.restore() if archive is not None else ():
            self._make(change)

    def find(self, name: str, scope: str = "") -> Collection | None:
        """The collection of that name; `scope` sets apart names that do not meet (databases)."""
        return self._named.get((scope, name))

    def names(self, scope: str = "") -> list[str]:
        """The names in one scope, in the order of creation."""
        return [one.name for one in self.collections.values() if one.scope == scope]

    def create(
        self, name: str, config: Mapping[str, Any], spaces: Mapping[str, Space], scope: str = "", id: str | None = None
    ) -> Collection:
        """A new, empty collection. Raises ValueError where the name is taken, LimitError where there are too many."""
        if (scope, name) in self._named:
            raise ValueError(f"there is a collection {name} already")
        if len(self.collections) >= self._limits.collections:
            raise LimitError(f"{self._limits.collections} collections")
        id = id or str(uuid.uuid4())
        known = {name: [space.metric, space.dimensions] for name, space in spaces.items()}
        self.commit(Change("create", {"id": id, "name": name, "scope": scope, "config": dict(config), "spaces": known}))
        return self.collections[id]

    def drop(self, collection: Collection) -> None:
        """Forget a collection and all its points."""
        self.commit(Change("drop", {"id": collection.id}))

    def renew(self, collection: Collection) -> None:
        """Give a collection another id, as if it had been created again and filled with the same points."""
        self.commit(Change("renew", {"id": collection.id, "new": str(uuid.uuid4())}))

    def configure(self, collection: Collection, config: Mapping[str, Any], name: str | None = None) -> None:
        """Another configuration, and perhaps another name. Raises ValueError where that is taken."""
        if name is not None and name != collection.name and (collection.scope, name) in self._named:
            raise ValueError(f"there is a collection {name} already")
        self.commit(Change("configure", {"id": collection.id, "config": dict(config), "name": name or collection.name}))

    def note(self, key: str, value: Any) -> None:
        """Keep JSON beside the collections; None forgets it."""
        self.commit(Change("note", {"key": key, "value": value}))

    def put(self, collection: Collection, points: Sequence[NewPoint]) -> None:
        """Insert points, or replace those of the same ids. Raises LimitError, ValueError for a vector that does not fit its space."""
        if points:
            self._check_room(len(points))
            _check_dimensions(collection, (one for point in points for one in point.vectors.items()))
            self.commit(put_change(collection.id, points))

    def set_payloads(self, collection: Collection, payloads: Mapping[PointId, tuple[Payload, str | None]]) -> None:
        """Replace payloads and documents of points that exist; others are left out."""
        entries = [[id, *value] for id, value in payloads.items() if id in collection.points]
        if entries:
            self.commit(Change("payload", {"collection": collection.id, "points": entries}))

    def set_vectors(self, collection: Collection, vectors: Mapping[PointId, Mapping[str, Floats | None]]) -> None:
        """Replace the vectors named, for points that exist; None takes one away. Raises ValueError for one that does not fit its space."""
        entries, floats = [], []
        for id, named in vectors.items():
            if id in collection.points:
                entries.append(
                    [id, [name for name, one in named.items() if one is not None], [name for name, one in named.items() if one is None]]
                )
                floats += [one for one in named.values() if one is not None]
        if entries:
            present = ((name, one) for named in vectors.values() for name, one in named.items() if one is not None)
            _check_dimensions(collection, present)
            self.commit(Change("vectors", {"collection": collection.id, "points": entries}, floats))

    def delete(self, collection: Collection, ids: Iterable[PointId]) -> int:
        """Forget points; how many there were."""
        known = [id for id in dict.fromkeys(ids) if id in collection.points]
        if known:
            self.commit(Change("delete", {"collection": collection.id, "ids": known}))
        return len(known)

    def commit(self, change: Change) -> None:
        """Keep a change, then make it. Raises OSError where the archive cannot keep it, KeyError where its collection has gone."""
        target = change.document.get("collection", change.document.get("id"))
        if change.kind not in ("create", "note") and target not in self.collections:
            raise KeyError(target)
        due = self._archive is not None and self._archive.append(change)
        self._make(change)
        if due and self._archive is not None:
            self._archive.snapshot(self.changes())

    def changes(self) -> Iterator[Change]:
        """The changes that lead from nothing to the present state."""
        for key, value in self.notes.items():
            yield Change("note", {"key": key, "value": value})
        for collection in self.collections.values():
            yield from collection.changes()

    def close(self) -> None:
        """Let go of the archive."""
        if self._archive is not None:
            self._archive.close()

    def _check_room(self, more: int) -> None:
        held = sum(len(one.points) for one in self.collections.values())
        if held + more > self._limits.points:
            raise LimitError(f"{self._limits.points} points")
        if sum(one.size_bytes for one in self.collections.values()) > self._limits.vector_bytes:
            raise LimitError(f"{self._limits.vector_bytes} bytes of vectors")

    def _make(self, change: Change) -> None:
        maker = _MAKERS.get(change.kind)
        if maker is None:
            self.collections[change.document["collection"]].make(change)
        else:
            maker(self, change.document)

    def _create(self, document: dict[str, Any]) -> None:
        spaces = {name: Space(metric, dimensions) for name, (metric, dimensions) in document["spaces"].items()}
        collection = Collection(document["name"], document["scope"], document["id"], document["config"], spaces)
        collection.revision = document.get("revision", 0)
        self.collections[collection.id] = collection
        self._named[collection.scope, collection.name] = collection

    def _drop(self, document: dict[str, Any]) -> None:
        collection = self.collections.pop(document["id"])
        del self._named[collection.scope, collection.name]

    def _renew(self, document: dict[str, Any]) -> None:
        collection = self.collections.pop(document["id"])
        collection.id = document["new"]
        self.collections[collection.id] = collection

    def _configure(self, document: dict[str, Any]) -> None:
        collection = self.collections[document["id"]]
        del self._named[collection.scope, collection.name]
        collection.config, collection.name = document["config"], document["name"]
        self._named[collection.scope, collection.name] = collection

    def _note(self, document: dict[str, Any]) -> None:
        if document["value"] is None:
            self.notes.pop(document["key"], None)
        else:
            self.notes[document["key"]] = document["value"]


_MAKERS: dict[ChangeKind, Callable[[Store, dict[str, Any]], None]] = {
    "create": Store._create,
    "drop": Store._drop,
    "configure": Store._configure,
    "note": Store._note,
    "renew": Store._renew,
}


def _check_dimensions(collection: Collection, vectors: Iterable[tuple[str, Floats]]) -> None:
    known: dict[str, int] = {}
    for name, vector in vectors:
        expected = known.setdefault(name, collection.dimensions(name) or len(vector))
        if len(vector) != expected:
            raise ValueError(f"a vector {name!r} of {len(vector)} numbers instead of {expected}")
