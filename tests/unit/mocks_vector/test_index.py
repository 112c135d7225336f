"""The exact index against the plain definition of each metric, in float64, over every row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mocks.vector.index import Metric, VectorIndex, nearer_is_larger

METRICS: tuple[Metric, ...] = ("dot", "cosine", "euclid", "squared_euclid", "manhattan")
NUMBERS = st.floats(-4, 4, width=32).map(lambda x: round(x, 1))  # coarse, so that ties are common


def plain_scores(metric: Metric, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    rows, query = rows.astype(np.float64), query.astype(np.float64)
    if metric == "dot":
        return (rows * query).sum(axis=1).astype(np.float32)
    if metric == "cosine":
        lengths = np.sqrt((rows * rows).sum(axis=1)) * np.sqrt((query * query).sum())
        return ((rows * query).sum(axis=1) / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    if metric == "manhattan":
        return np.abs(rows - query).sum(axis=1).astype(np.float32)
    squares = ((rows - query) ** 2).sum(axis=1)
    return (np.sqrt(squares) if metric == "euclid" else squares).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_search_is_what_scoring_and_sorting_every_row_gives(data: st.DataObject) -> None:
    metric = data.draw(st.sampled_from(METRICS))
    dimensions = data.draw(st.integers(1, 6))
    vector = arrays(np.float32, dimensions, elements=NUMBERS)
    index = VectorIndex(dimensions, metric)
    model: dict[int, tuple[int, np.ndarray]] = {}  # row → arrival, vector
    for arrival, (row, value) in enumerate(data.draw(st.lists(st.tuples(st.integers(0, 24), st.none() | vector), max_size=40))):
        if value is None:
            index.drop(row)
            model.pop(row, None)
        else:
            index.put(row, value)
            model[row] = (model[row][0] if row in model else arrival, value)
    allowed = data.draw(st.none() | arrays(np.bool_, st.integers(0, 30)))
    k, farthest = data.draw(st.integers(0, 30)), data.draw(st.booleans())
    queries = data.draw(arrays(np.float32, (data.draw(st.integers(1, 3)), dimensions), elements=NUMBERS))
    rows = [row for row in model if allowed is None or (row < len(allowed) and allowed[row])]
    assert len(index) == len(model)
    for query, found in zip(queries, index.search(queries, k, allowed, farthest=farthest), strict=True):
        scores = plain_scores(metric, np.array([model[row][1] for row in rows]).reshape(len(rows), dimensions), query)
        sign = -1 if nearer_is_larger(metric) != farthest else 1
        best = sorted(zip(rows, scores.tolist(), strict=True), key=lambda one: (sign * one[1], model[one[0]][0]))[:k]
        assert list(zip(found.rows.tolist(), found.scores.tolist(), strict=True)) == best


@pytest.mark.parametrize("metric", METRICS)
def test_a_score_depends_on_row_and_query_alone(metric: Metric) -> None:
    """Not on place, filter or batch: twins get equal scores, and rank as they came."""
    rng = np.random.default_rng(7)
    rows = rng.standard_normal((300, 96)).astype(np.float32)
    rows[[37, 130, 299]] = rows[5]
    index = VectorIndex(96, metric)
    for row, vector in enumerate(rows):
        index.put(row, vector)
    few = np.zeros(300, np.bool_)
    few[[5, 37, 130, 299]] = True
    alone = index.search(rows[5:6], 4)[0]
    assert alone.rows.tolist() == [5, 37, 130, 299]
    assert len(set(alone.scores.tolist())) == 1
    assert index.search(rows[5:6], 4, few)[0].scores.tolist() == alone.scores.tolist()
    assert index.search(np.repeat(rows[5:6], 50, axis=0), 4)[49].scores.tolist() == alone.scores.tolist()
    assert index.score(299, rows[5]) == alone.scores[0]


def test_a_vector_that_replaces_another_keeps_its_place_among_equals() -> None:
    index = VectorIndex(2, "dot")
    for row in (0, 1):
        index.put(row, np.array([1, 0], np.float32))
    index.put(0, np.array([1, 0], np.float32))
    assert index.search(np.array([[1, 0]], np.float32), 2)[0].rows.tolist() == [0, 1]
    index.drop(0)
    index.put(0, np.array([1, 0], np.float32))
    assert index.search(np.array([[1, 0]], np.float32), 2)[0].rows.tolist() == [1, 0]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_number_come_last(metric: Metric, odd: float) -> None:
    index = VectorIndex(2, metric)
    index.put(0, np.array([odd, odd], np.float32))
    index.put(1, np.array([1, 0], np.float32))
    index.put(2, np.array([0, 1], np.float32))
    found = index.search(np.array([[1, 0.5]], np.float32), 3)[0]
    numbers = [row for row, score in zip(found.rows.tolist(), found.scores.tolist(), strict=True) if score == score]
    assert [row for row in numbers if row] == [1, 2]
    assert found.rows.tolist()[: len(numbers)] == numbers


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e18, 1e30])
def test_very_small_and_very_large_vectors_are_ranked_right(metric: Metric, scale: float) -> None:
    rng = np.random.default_rng(3)
    rows = (rng.standard_normal((200, 8)) * scale).astype(np.float32)
    index = VectorIndex(8, metric)
    for row, vector in enumerate(rows):
        index.put(row, vector)
    with np.errstate(over="ignore"):
        scores = plain_scores(metric, rows, rows[9])
    best = np.argsort(-scores if nearer_is_larger(metric) else scores, kind="stable")[:5]
    assert index.search(rows[9:10], 5)[0].rows.tolist() == best.tolist()


def test_rows_are_read_back_and_memory_grows_with_them_only() -> None:
    index = VectorIndex(4, "dot")
    assert index.vector(0) is None
    index.put(100, np.arange(4, dtype=np.float32))
    found = index.vector(100)
    assert found is not None
    assert found.tolist() == [0, 1, 2, 3]
    assert index.vector(5) is None
    assert index.size_bytes < 101 * 4 * 4 * 4
