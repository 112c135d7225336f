"""Making one ranking of several."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mocks.vector.collection import Match, Point, PointId
from mocks.vector.qdrant import errors
from mocks.vector.qdrant.decode import FormatError, a_list, an_object, at_least, number

Fusion = Callable[[Sequence[Sequence[Match]]], list[Match]]

_RRF_K = 2


def fusion(kind: str, document: Any, lists: int) -> Fusion:
    """The fusion of so many lists that `{kind: document}` asks for. Raises FormatError, RangeError, VectorError."""
    if kind == "fusion" and document == "dbsf":
        return _by_distribution
    if kind == "fusion":
        if document != "rrf":
            raise FormatError(f"unknown variant `{document}`, expected `rrf` or `dbsf`")
        return lambda found: _by_rank(found, _RRF_K, [])
    given = an_object(document, "struct Rrf")
    weights = [] if given.get("weights") is None else a_list(given["weights"], number)
    k = at_least(given, "k", 1, _RRF_K)
    if weights and len(weights) != lists:
        raise errors.wrong_input(f"Number of weights must match the number of prefetches ({len(weights)} != {lists})")
    return lambda found: _by_rank(found, k, weights)


def _by_rank(lists: Sequence[Sequence[Match]], k: int, weights: Sequence[float]) -> list[Match]:
    """Reciprocal ranks, from 0: 1 / (rank / weight + k), summed over the lists."""
    scores: dict[PointId, float] = {}
    points: dict[PointId, Point] = {}
    for found, weight in zip(lists, weights or [1.0] * len(lists), strict=True):
        for rank, one in enumerate(found):
            share = 1 / ((rank + 1) / weight + k - 1) if weight > 0 else 0.0
            scores[one.point.id] = scores.get(one.point.id, 0.0) + share
            points[one.point.id] = one.point
    return _by_score(points, scores)


def _by_distribution(lists: Sequence[Sequence[Match]]) -> list[Match]:
    """Scores put on a scale from mean - 3 deviations (0) to mean + 3 deviations (1), summed over the lists."""
    scores: dict[PointId, float] = {}
    points: dict[PointId, Point] = {}
    for found in lists:
        values = np.array([one.score for one in found], np.float64)
        if not len(values):
            continue
        spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        low = float(values.mean()) - 3 * spread
        for one in found:
            share = (one.score - low) / (6 * spread) if spread else 0.5
            scores[one.point.id] = scores.get(one.point.id, 0.0) + share
            points[one.point.id] = one.point
    return _by_score(points, scores)


def _by_score(points: Mapping[PointId, Point], scores: Mapping[PointId, float]) -> list[Match]:
    return [Match(points[id], scores[id]) for id in sorted(scores, key=lambda id: -scores[id])]
