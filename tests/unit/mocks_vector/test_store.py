"""Collections against a plain dictionary, and the same again after the process has gone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocks.vector.collection import Collection, NewPoint, PointId, Space
from mocks.vector.history import Deleted, Past
from mocks.vector.persistence import ArchiveError, DirectoryArchive
from mocks.vector.store import LimitError, Limits, Store

SPACES = {"a": Space("dot", 2), "b": Space("euclid", 3)}
IDS = st.integers(0, 6) | st.sampled_from(["x", "y"])
VECTORS = {
    name: st.lists(st.integers(-3, 3), min_size=space.dimensions, max_size=space.dimensions).map(lambda one: np.array(one, np.float32))
    for name, space in SPACES.items()
}
SOME_VECTORS = st.fixed_dictionaries({}, optional=VECTORS)
PAYLOADS = st.dictionaries(st.sampled_from("kl"), st.integers(0, 3) | st.none() | st.text(max_size=3), max_size=2)

PUT = st.tuples(st.just("put"), st.lists(st.tuples(IDS, SOME_VECTORS, PAYLOADS), max_size=4))
SET_PAYLOAD = st.tuples(st.just("payload"), st.dictionaries(IDS, PAYLOADS, max_size=3))
SET_VECTORS = st.tuples(
    st.just("vectors"), st.dictionaries(IDS, st.fixed_dictionaries({}, optional={n: v | st.none() for n, v in VECTORS.items()}), max_size=3)
)
DELETE = st.tuples(st.just("delete"), st.lists(IDS, max_size=3))
STEPS = st.lists(PUT | SET_PAYLOAD | SET_VECTORS | DELETE, max_size=14)

Model = dict[PointId, dict[str, Any]]


def collection_of(store: Store) -> Collection:
    return store.find("c") or store.create("c", {"shown": 1}, SPACES)


def make(store: Store, step: tuple[str, Any]) -> None:
    kind, what = step
    collection = collection_of(store)
    if kind == "put":
        store.put(collection, [NewPoint(id, dict(vectors), payload) for id, vectors, payload in what])
    elif kind == "payload":
        store.set_payloads(collection, {id: (payload, None) for id, payload in what.items()})
    elif kind == "vectors":
        store.set_vectors(collection, what)
    else:
        store.delete(collection, what)


def make_plainly(model: Model, step: tuple[str, Any]) -> None:
    kind, what = step
    if kind == "put":
        for id, vectors, payload in what:
            model[id] = {"payload": payload, "vectors": {name: tuple(one.tolist()) for name, one in vectors.items()}}
    elif kind == "payload":
        for id, payload in what.items():
            if id in model:
                model[id]["payload"] = payload
    elif kind == "vectors":
        for id, named in what.items():
            for name, one in named.items() if id in model else ():
                if one is None:
                    model[id]["vectors"].pop(name, None)
                else:
                    model[id]["vectors"][name] = tuple(one.tolist())
    else:
        for id in what:
            model.pop(id, None)


def held(collection: Collection) -> Model:
    found: Model = {}
    for id, point in collection.points.items():
        vectors = {name: collection.vector(point, name) for name in point.names}
        found[id] = {"payload": point.payload, "vectors": {name: tuple(v.tolist()) for name, v in vectors.items() if v is not None}}
    return found


def check_search(collection: Collection, model: Model) -> None:
    """Every point once, nearest first; masks choose by payload."""
    for name, space in SPACES.items():
        query = np.ones((1, space.dimensions or 0), np.float32)
        expected = {}
        for id, point in model.items():
            vector = point["vectors"].get(name)
            if vector is not None:
                distance = math.dist(vector, query[0].tolist())
                expected[id] = np.float32(sum(vector) if space.metric == "dot" else distance).item()
        found = collection.search(query, 100, name)[0]
        assert {one.point.id: one.score for one in found} == expected
        scores = [one.score for one in found]
        assert scores == sorted(scores, reverse=space.metric == "dot")
        mask = collection.mask(b"k", lambda point: "k" in point.payload)
        allowed = {one.point.id for one in collection.search(query, 100, name, mask)[0]}
        assert allowed == {id for id in expected if "k" in model[id]["payload"]}
        assert {point.id for point in collection.marked(mask)} == {id for id, point in model.items() if "k" in point["payload"]}


@settings(max_examples=120, deadline=None)
@given(STEPS)
def test_a_collection_holds_what_a_dictionary_would(steps: list[tuple[str, Any]]) -> None:
    store, model = Store(Limits()), Model()
    for step in steps:
        make(store, step)
        make_plainly(model, step)
        collection = collection_of(store)
        assert held(collection) == model
        check_search(collection, model)
    ids = collection_of(store).sorted_ids()
    assert ids == sorted(model, key=lambda id: (isinstance(id, str), str(id)))
    for start in (0, 3, "x", "z"):
        assert collection_of(store).ids_from(start) == [
            id for id in ids if (isinstance(id, str), str(id)) >= (isinstance(start, str), str(start))
        ]


def frame_of(folder: Path) -> bytes:
    """The log of one change."""
    store = Store(Limits(), DirectoryArchive(folder))
    store.note("never", "finished")
    store.close()
    return max(folder.glob("log-*")).read_bytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_everything_acknowledged_is_there_after_a_crash_at_any_byte(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("kept")
    steps = data.draw(STEPS)
    archive = DirectoryArchive(folder, snapshot_bytes=data.draw(st.sampled_from([200, 1 << 20])))
    store = Store(Limits(), archive)
    model: Model = {}
    collection_of(store)
    for step in steps:
        make(store, step)
        make_plainly(model, step)
    order, revision = list(model), collection_of(store).revision
    versions = {id: point.version for id, point in collection_of(store).points.items()}
    archive.close()
    log = max(folder.glob("log-*"))
    unfinished = frame_of(tmp_path_factory.mktemp("other"))
    cut = data.draw(st.integers(0, len(unfinished) - 1))
    log.write_bytes(log.read_bytes() + unfinished[:cut])  # what the process was writing when it died
    for _ in range(2):  # the second start finds what the first has cleared up
        again = Store(Limits(), DirectoryArchive(folder))
        kept = collection_of(again)
        assert (kept.id, kept.config) == (collection_of(store).id, {"shown": 1})
        assert held(kept) == model
        assert (list(kept.points), kept.revision) == (order, revision)
        assert {id: point.version for id, point in kept.points.items()} == versions
        check_search(kept, model)
        again.close()


def test_collections_come_and_go_and_keep_their_ids(tmp_path: Path) -> None:
    store = Store(Limits(), DirectoryArchive(tmp_path))
    first = store.create("c", {}, SPACES, scope="one")
    store.create("c", {}, SPACES, scope="two")
    with pytest.raises(ValueError, match="already"):
        store.create("c", {}, SPACES, scope="one")
    old = first.id
    store.renew(first)
    assert first.id != old
    store.configure(first, {"new": True}, "renamed")
    store.note("aliases", {"x": "renamed"})
    store.note("gone", 1)
    store.note("gone", None)
    dropped = store.find("c", "two")
    assert dropped is not None
    store.drop(dropped)
    store.close()
    again = Store(Limits(), DirectoryArchive(tmp_path))
    found = again.find("renamed", "one")
    assert found is not None
    assert (found.id, found.config, again.notes) == (first.id, {"new": True}, {"aliases": {"x": "renamed"}})
    assert (again.find("c", "two"), again.names("one"), again.names("two")) == (None, ["renamed"], [])
    again.close()


def test_a_point_remembers_what_it_held_before() -> None:
    store = Store(Limits())
    collection = collection_of(store)
    store.put(collection, [NewPoint(1, {}, {"v": 1}, "first")])
    assert collection.points[1].before is None
    for _ in range(2):  # the same again replaces nothing
        store.put(collection, [NewPoint(1, {}, {"v": 2}, "second")])
        assert collection.before(1) == ({"v": 1}, "first", 1)
    store.set_payloads(collection, {1: ({"v": 3}, "second")})
    assert (collection.before(1), collection.before(2)) == (({"v": 2}, "second", 3), None)


@pytest.mark.parametrize("again", [0, 1])
def test_a_point_that_was_deleted_and_put_again_remembers_too(again: int) -> None:
    store = Store(Limits())
    collection = collection_of(store)
    store.put(collection, [NewPoint(1, {}, {"v": 0})])
    store.delete(collection, [1])
    store.put(collection, [NewPoint(1, {}, {"v": again})])
    assert collection.before(1) == (None if again == 0 else ({"v": 0}, None, 1))


def test_a_new_version_under_its_own_id_is_known_by_a_key_of_its_payload() -> None:
    store = Store(Limits())
    collection = collection_of(store)
    for revision in (1, 2, 3):
        points = [NewPoint(10 * revision + part, {}, {"doc": "d", "part": part, "v": revision}) for part in range(3)]
        store.put(collection, points)
        store.delete(collection, [point.id - 10 for point in points if isinstance(point.id, int)])
    assert [collection.before(30 + part, ("none", "doc")) for part in range(3)] == [
        ({"doc": "d", "part": part, "v": 2}, None, 2) for part in range(3)
    ]
    assert collection.before(30, ("none",)) is None
    store.put(collection, [NewPoint(40, {}, {"doc": "another", "part": 0})])
    assert collection.before(40, ("doc",)) is None


def test_what_was_deleted_later_but_is_newer_is_no_past() -> None:
    """A newer revision that was taken back."""
    store = Store(Limits())
    collection = collection_of(store)
    store.put(collection, [NewPoint(1, {}, {"doc": "d", "v": 1})])
    store.put(collection, [NewPoint(2, {}, {"doc": "d", "v": 2})])
    store.delete(collection, [2])
    assert collection.before(1, ("doc",)) is None


def test_of_what_was_deleted_a_bounded_number_is_remembered() -> None:
    deleted = Deleted(most=2)
    for number in range(3):
        deleted.keep(number, Past({"doc": number}, None, number))
    assert [deleted.take(number) for number in range(3)] == [None, ({"doc": 1}, None, 1), ({"doc": 2}, None, 2)]
    assert deleted.take(1) is None


@pytest.mark.parametrize(
    ("limits", "what"), [({"points": 2}, "2 points"), ({"vector_bytes": 10}, "10 bytes of vectors"), ({"collections": 1}, "1 collections")]
)
def test_a_full_store_says_so(limits: Mapping[str, int], what: str) -> None:
    store = Store(Limits(**limits))
    collection = collection_of(store)

    def fill() -> None:
        for number in range(3):
            store.put(collection, [NewPoint(number, {"a": np.ones(2, np.float32)})])
        store.create("d", {}, {})

    with pytest.raises(LimitError, match=what):
        fill()


def test_a_vector_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    store = Store(Limits(), DirectoryArchive(tmp_path))
    collection = collection_of(store)
    good, bad = NewPoint(1, {"a": np.ones(2, np.float32)}), NewPoint(2, {"a": np.ones(3, np.float32)})
    with pytest.raises(ValueError, match="3 numbers instead of 2"):
        store.put(collection, [good, bad])
    assert collection.points == {}
    store.put(collection, [good])
    with pytest.raises(ValueError, match="1 numbers instead of 2"):
        store.set_vectors(collection, {1: {"a": np.ones(1, np.float32)}})
    store.close()
    assert list(collection_of(Store(Limits(), DirectoryArchive(tmp_path))).points) == [1]


def test_a_change_of_a_collection_that_has_gone_is_refused_and_not_kept(tmp_path: Path) -> None:
    store = Store(Limits(), DirectoryArchive(tmp_path))
    collection = collection_of(store)
    store.drop(collection)
    with pytest.raises(KeyError):
        store.put(collection, [NewPoint(1, {})])
    store.close()
    assert Store(Limits(), DirectoryArchive(tmp_path)).collections == {}


def test_two_processes_do_not_share_a_directory(tmp_path: Path) -> None:
    archive = DirectoryArchive(tmp_path)
    with pytest.raises(ArchiveError, match="in use"):
        DirectoryArchive(tmp_path)
    archive.close()
    DirectoryArchive(tmp_path).close()


@pytest.mark.parametrize("kind", ["log", "snapshot"])
def test_damage_in_the_middle_is_not_taken_for_an_unfinished_write(tmp_path: Path, kind: str) -> None:
    store = Store(Limits(), DirectoryArchive(tmp_path, snapshot_bytes=1 << 20 if kind == "log" else 1))
    collection = collection_of(store)
    for number in range(5):
        store.put(collection, [NewPoint(number, {}, {"text": "word " * 10})])
    store.close()
    path = max(tmp_path.glob(f"{kind}-*"))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    archive = DirectoryArchive(tmp_path)
    with pytest.raises(ArchiveError, match="damaged"):
        Store(Limits(), archive)
    archive.close()


def test_old_snapshots_and_logs_are_cleared_away(tmp_path: Path) -> None:
    store = Store(Limits(), DirectoryArchive(tmp_path, snapshot_bytes=2_000))
    collection = collection_of(store)
    for number in range(200):
        store.put(collection, [NewPoint(number % 7, {}, {"text": "word " * 10})])
    store.close()
    assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == ["lock", "log", "snapshot"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20_000
