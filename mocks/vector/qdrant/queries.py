"""A checked query, and how it is answered."""

from dataclasses import dataclass

import numpy as np

from mocks.vector.collection import Collection, Match, Point, PointId
from mocks.vector.index import Floats, Mask, nearer_is_larger
from mocks.vector.qdrant.fusion import Fusion
from mocks.vector.qdrant.order import Order


@dataclass(frozen=True, slots=True)
class Target:
    """What is nearest wanted: a vector, and the points that it was made of, which are never answers."""

    vector: Floats
    using: str
    sources: frozenset[PointId] = frozenset()


@dataclass(frozen=True, slots=True)
class Query:
    """A checked query. `target` None and no `fusion`: points in order of id (or of `order`), scored 0."""

    collection: Collection
    limit: int
    offset: int
    threshold: float | None
    allowed: Mask | None
    target: Target | None = None
    order: Order | None = None
    prefetch: tuple["Query", ...] = ()
    fusion: Fusion | None = None

    def run(self) -> list[Match]:
        """The points, best first."""
        return self.top(self.offset + self.limit)[self.offset :]

    def top(self, k: int, *, farthest: bool = False, filtered: bool = True) -> list[Match]:
        """The best `k` of them (the worst, worst first), whatever limit and offset say; `filtered` false disregards the filter."""
        if self.fusion is not None:
            fused = self.fusion([one.run() for one in self.prefetch])
            return self._passing(fused[::-1] if farthest else fused)[:k]
        allowed = self._candidates() if filtered else None
        if self.target is not None:
            return self._nearest(self.target, k, allowed, farthest=farthest)
        points = [point for point in self._listed() if allowed is None or allowed[point.row]]
        return [Match(point, 0.0) for point in (points[::-1] if farthest else points)[:k]]

    def _nearest(self, target: Target, k: int, allowed: Mask | None, *, farthest: bool) -> list[Match]:
        queries = target.vector[np.newaxis]
        found = self.collection.search(queries, k + len(target.sources), target.using, allowed, farthest=farthest)[0]
        found = [one for one in found if one.point.id not in target.sources][:k]
        return found if farthest else self._passing(found)

    def _passing(self, found: list[Match]) -> list[Match]:
        if self.threshold is None:
            return found
        if self.target is None or nearer_is_larger(self.collection.spaces[self.target.using].metric):
            return [one for one in found if one.score >= self.threshold]
        return [one for one in found if one.score <= self.threshold]

    def _candidates(self) -> Mask | None:
        if not self.prefetch:
            return self.allowed
        mask = np.zeros(self.collection.rows, np.bool_)
        mask[[one.point.row for query in self.prefetch for one in query.run()]] = True
        return mask if self.allowed is None else mask & self.allowed

    def _listed(self) -> list[Point]:
        if self.order is not None:
            return [point for point, _ in self.order.sort(self.collection.points.values())]
        return [self.collection.points[id] for id in self.collection.sorted_ids()]
