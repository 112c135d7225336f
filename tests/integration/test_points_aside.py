"""Points that faults of data keep aside, against both products: what is taken comes back as it was, whatever was interrupted."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.faults.base import FaultError, Undo
from harness.faults.points import PAGE, Collection, Record, collection, collections_of
from harness.faults.points_aside import PointsAside, named, same
from harness.faults.undo import execute
from harness.record.clock import SystemClock
from harness.stack.base import PointsAt
from mocks.vector.plan import Product
from tests.integration.vector_rig import Rig

NAME = "batch-0123456789"
CLOCK = SystemClock()


@pytest.fixture(scope="module", params=["qdrant", "chroma"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    product: Product = request.param
    with Rig(product) as made:
        yield made


@pytest.fixture
def at(rig: Rig) -> Iterator[PointsAt]:
    place = PointsAt(rig.product, rig.url, "chunks")
    here = collection(place, CLOCK)
    here.create(4)
    here.put(records("first") + records("second"))
    yield place
    for name in collections_of(place, CLOCK):
        collection(place, CLOCK, name).drop()


def records(doc_id: str, count: int = 3, revision: int = 0) -> list[Record]:
    def one(number: int) -> Record:
        key = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{doc_id}-{number}@{revision}"))
        labels = {"doc_id": doc_id, "chunk_id": f"{doc_id}-{number}", "revision": revision}
        return Record(key, (1.0, number / 7, 0.25, -0.5), f"{doc_id} says AB-{number:06d}", labels)

    return [one(number) for number in range(count)]


def everything(place: PointsAt) -> list[Record]:
    return sorted(collection(place, CLOCK).read(), key=lambda record: record.id)


def from_the_lease(undo: Undo) -> str:
    done = execute(undo, Path())
    assert done.ok, done.detail
    return done.detail


def test_more_than_a_page_is_read_whole(at: PointsAt) -> None:
    here: Collection = collection(at, CLOCK)
    here.put(records("long", PAGE * 2 + 1))
    assert len(here.read(["long"])) == PAGE * 2 + 1 == len(named(here, "lon"))
    assert {record.doc_id for record in here.read(["first", "nobody"])} == {"first"}
    assert all(record.vector == () for record in here.read(vectors=False))


def test_what_was_removed_comes_back_as_it_was(at: PointsAt) -> None:
    before, aside = everything(at), PointsAside(at, NAME, CLOCK)
    aside.remove(aside.read(["first"]))
    assert aside.waiting and {record.doc_id for record in everything(at)} == {"second"}
    assert from_the_lease(aside.undo()) == "put 3 point(s) back"
    assert not aside.waiting and same(before, everything(at))
    assert from_the_lease(aside.undo()) == "put 0 point(s) back"
    assert collections_of(at, CLOCK) == ["chunks"]


def test_texts_that_were_written_over_come_back(at: PointsAt) -> None:
    before, aside = everything(at), PointsAside(at, NAME, CLOCK)
    aside.rewrite(aside.read(["first"]), {record.id: record.text.replace("AB", "XY") for record in records("first")})
    assert [record.text for record in aside.read(["first"]) if "AB" in record.text] == []
    assert not same(before, everything(at))
    assert aside.put_back() == 3 and same(before, everything(at))


def test_what_was_kept_and_not_yet_touched_is_left_as_it_is(at: PointsAt) -> None:
    """Whoever was to remove it died in between."""
    before = everything(at)
    beside = collection(at, CLOCK, NAME)
    beside.create(4)
    beside.put(records("first"))
    assert from_the_lease(PointsAside(at, NAME, CLOCK).undo()) == "put 0 point(s) back"
    assert same(before, everything(at))


def test_what_came_back_half_way_comes_back_whole(at: PointsAt) -> None:
    before, aside = everything(at), PointsAside(at, NAME, CLOCK)
    aside.remove(aside.read(["first"]))
    collection(at, CLOCK).put(records("first")[:1])
    assert aside.put_back() == 2 and same(before, everything(at))


def test_what_was_indexed_anew_meanwhile_is_not_overwritten(at: PointsAt) -> None:
    aside = PointsAside(at, NAME, CLOCK)
    aside.remove(aside.read(["first"]))
    aside_too = PointsAside(at, f"{NAME}x", CLOCK)
    aside_too.rewrite(aside_too.read(["second"]), {record.id: "stale" for record in records("second")})
    fresh = [replace(record, text="fresh") for record in records("second")]
    collection(at, CLOCK).put(records("first", 2, revision=5) + fresh)
    assert (aside.put_back(), aside_too.put_back()) == (0, 0)
    assert {(record.doc_id, record.revision, record.text) for record in everything(at) if record.doc_id == "second"} == {
        ("second", 0, "fresh")
    }
    assert {record.revision for record in everything(at) if record.doc_id == "first"} == {5}


def test_points_of_documents_of_a_name_are_removed_and_no_others(at: PointsAt) -> None:
    before = everything(at)
    collection(at, CLOCK).put(records(f"{NAME}-1") + records(f"{NAME}-2"))
    undo = Undo("points", {"product": at.product, "url": at.url, "collection": at.collection, "prefix": f"{NAME}-", "quiet_s": 0.0})
    assert from_the_lease(undo) == "removed 6 point(s)"
    assert same(before, everything(at))


def test_a_store_that_refuses_or_is_away_is_told(at: PointsAt) -> None:
    with pytest.raises(FaultError, match=r"the vector store: .*status 404"):
        collection(at, CLOCK, "missing-one").read()
    away = PointsAside(replace(at, url="http://127.0.0.1:9"), NAME, CLOCK)
    assert not execute(away.undo(), Path()).ok
    with pytest.raises(FaultError, match="no such vector store: 'other'"):
        collection(replace(at, product="other"), CLOCK)
