"""Vectors that are wrong."""

import base64
import json
import math
from typing import Any

import numpy as np
import pytest

from mocks.faults.table import FaultError
from mocks.llm.answer import EMBEDDINGS
from mocks.llm.hashing import Vector, embed
from tests.unit.mocks_llm.faults.answering import INPUTS, Asked, Met, meet

GOOD = np.array([embed(text, 64) for text in INPUTS])


def met(document: dict[str, Any], **asked: Any) -> Met:
    return meet(document, Asked(EMBEDDINGS, **asked))


def vectors(document: dict[str, Any], **asked: Any) -> Vector:
    found = met(document, **asked).vectors
    assert found is not None
    return np.array(found.vectors)


def body(document: dict[str, Any], **asked: Any) -> bytes:
    whole = met(document, **asked).whole
    assert whole is not None
    return whole.body


@pytest.mark.parametrize("dimensions", [1, 8, 63, 65, 128])
def test_dimensions_are_other_than_asked(dimensions: int) -> None:
    found = vectors({"type": "embedding_wrong_dimension", "dimensions": dimensions})
    kept = min(dimensions, 64)
    assert found.shape == (3, dimensions)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0)
    cosines = np.sum(found[:, :kept] * GOOD[:, :kept], axis=1) / np.linalg.norm(GOOD[:, :kept], axis=1).clip(1e-9)
    assert all(cosine == pytest.approx(1.0, abs=1e-5) or not GOOD[i, :kept].any() for i, cosine in enumerate(cosines))


def test_right_dimensions_are_nothing_wrong() -> None:
    assert met({"type": "embedding_wrong_dimension", "dimensions": 64}).applied == 0


def test_vectors_of_zeros() -> None:
    assert not vectors({"type": "embedding_zero"}).any()


@pytest.mark.parametrize(("value", "spelled"), [("nan", b"NaN"), ("inf", b"Infinity")])
def test_no_number_goes_over_the_wire_as_it_is(value: str, spelled: bytes) -> None:
    assert body({"type": "embedding_nan", "value": value}).count(b'"embedding":[' + spelled) == 3
    coded = json.loads(body({"type": "embedding_nan", "value": value}, as_base64=True))
    decoded = [np.frombuffer(base64.b64decode(item["embedding"]), "<f4") for item in coded["data"]]
    assert all(np.array_equal(vector[:1], np.array([float(value)], "<f4"), equal_nan=True) for vector in decoded)
    assert np.array_equal(np.array(decoded)[:, 1:], GOOD[:, 1:])


def test_norms_are_other_than_one() -> None:
    assert vectors({"type": "embedding_not_normalised", "scale": 2.5}) == pytest.approx(GOOD * 2.5)
    with pytest.raises(FaultError, match="scale must not be 1"):
        met({"type": "embedding_not_normalised", "scale": 1})


@pytest.mark.parametrize(("by", "indices"), [(-1, [0, 1]), (-2, [0]), (-7, []), (1, [0, 1, 2, 3]), (3, [0, 1, 2, 3, 4, 5])])
def test_counts_differ(by: int, indices: list[int]) -> None:
    items = json.loads(body({"type": "embedding_count_mismatch", "by": by}))["data"]
    assert [item["index"] for item in items] == indices
    assert all(np.allclose(item["embedding"], GOOD[min(i, 2)]) for i, item in enumerate(items))


def test_no_mismatch_is_none() -> None:
    with pytest.raises(FaultError, match="by must not be 0"):
        met({"type": "embedding_count_mismatch", "by": 0})


def test_items_come_in_another_order_and_say_so() -> None:
    items = json.loads(body({"type": "embedding_order_mismatch"}))["data"]
    assert sorted(item["index"] for item in items) == [0, 1, 2]
    assert all(item["index"] != i and np.allclose(item["embedding"], GOOD[item["index"]]) for i, item in enumerate(items))


def test_items_lie_about_their_place() -> None:
    items = json.loads(body({"type": "embedding_order_mismatch", "how": "index"}))["data"]
    assert sorted(item["index"] for item in items) == [0, 1, 2]
    assert all(item["index"] != i and np.allclose(item["embedding"], GOOD[i]) for i, item in enumerate(items))


def test_one_item_has_no_order() -> None:
    assert met({"type": "embedding_order_mismatch"}, inputs=("alone",)).applied == 0


def test_another_space_keeps_its_own_neighbours_and_loses_the_old_ones() -> None:
    document = {"type": "embedding_other_space"}
    texts = tuple(f"text {word} about {other}" for word in ("cache", "query", "index", "token") for other in ("apples", "pears", "plums"))
    old = np.array([embed(text, 64) for text in texts])
    new = vectors(document, inputs=texts)
    assert new @ new.T == pytest.approx(old @ old.T, abs=1e-5)
    assert np.linalg.norm(new, axis=1) == pytest.approx(1.0)
    assert np.mean(np.argmax(new @ old.T, axis=1) == np.arange(len(texts))) < 0.5
    assert np.array_equal(vectors(document, inputs=texts), new)
    assert not np.allclose(vectors({**document, "space": 1}, inputs=texts), new)


@pytest.mark.parametrize("as_base64", [True, False])
def test_the_encoding_is_the_other_one(as_base64: bool) -> None:
    items = json.loads(body({"type": "embedding_format_mismatch"}, as_base64=as_base64))["data"]
    assert {type(item["embedding"]) for item in items} == {list if as_base64 else str}


def test_good_vectors_are_good() -> None:
    assert all(math.isclose(float(norm), 1.0, rel_tol=1e-5) for norm in np.linalg.norm(vectors([]), axis=1))  # type: ignore[arg-type]  # no fault
