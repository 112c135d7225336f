"""Exact nearest-neighbour search over rows of float32 numbers.

Two passes. The first scores every row in float32 (one matrix product where the metric allows it) and keeps the rows that could be among
the best k, given the rounding error that it may have made. The second scores those few in float64, one row at a time, so that a row's score
depends on nothing but the row and the query: not on its place, on its neighbours, on a filter, or on how many queries came together.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Metric = Literal["dot", "cosine", "euclid", "squared_euclid", "manhattan"]
"""`dot` and `cosine` are similarities (larger is nearer), the others distances (smaller is nearer)."""

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

_FIRST_CAPACITY = 16
_UNIT_ROUNDOFF = 2.0**-24  # of float32
_SMALLEST_NORMAL = 2.0**-126
_SMALLEST_SCALE = 1e-25  # of two lengths multiplied: far enough from where float32 loses digits
_MOST_CELLS = 1 << 20  # of any temporary array: 4 MiB in float32
_GATHER_BELOW = 0.25  # the share of rows below which copying them together is cheaper than scoring all


class Ranking(NamedTuple):
    """Rows and their scores, best first; of equal scores the one that came into the index first. Scores that are no number come last."""

    rows: Rows
    scores: Floats


def nearer_is_larger(metric: Metric) -> bool:
    """Whether the metric is a similarity."""
    return metric in ("dot", "cosine")


class VectorIndex:
    """Vectors of `dimensions` numbers in numbered rows; the caller numbers them and uses freed rows again."""

    def __init__(self, dimensions: int, metric: Metric) -> None:
        self.dimensions = dimensions
        self.metric = metric
        self._matrix: Floats = np.empty((0, dimensions), np.float32)
        self._norms: Floats = np.empty(0, np.float32)
        self._present: Mask = np.empty(0, np.bool_)
        self._arrival: Rows = np.empty(0, np.int64)
        self._arrivals = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def size_bytes(self) -> int:
        """Memory of its arrays."""
        return self._matrix.nbytes + self._norms.nbytes + self._present.nbytes + self._arrival.nbytes

    def put(self, row: int, vector: Floats) -> None:
        """Set the vector of a row; one that had a vector keeps its place among equals."""
        self._reserve(row + 1)
        self._matrix[row] = vector
        self._norms[row] = np.sqrt(np.dot(vector.astype(np.float64), vector.astype(np.float64)))
        if not self._present[row]:
            self._present[row] = True
            self._arrival[row] = self._arrivals
            self._arrivals += 1
            self._count += 1

    def drop(self, row: int) -> None:
        """Forget the vector of a row, if it has one."""
        if row < len(self._present) and self._present[row]:
            self._present[row] = False
            self._count -= 1

    def vector(self, row: int) -> Floats | None:
        """A copy of the vector of a row; None where it has none."""
        if row >= len(self._present) or not self._present[row]:
            return None
        vector: Floats = self._matrix[row].copy()
        return vector

    def search(self, queries: Floats, k: int, allowed: Mask | None = None, *, farthest: bool = False) -> list[Ranking]:
        """The best `k` rows for each query (shape: queries x dimensions), among those that `allowed` marks (by row number; absent ones are
        not allowed). `farthest` asks for the worst instead, worst first."""
        rows = self._rows(allowed)
        if not len(rows) or k < 1:
            nothing = Ranking(np.empty(0, np.int64), np.empty(0, np.float32))
            return [nothing] * len(queries)
        block = max(1, _MOST_CELLS // len(self._present))
        found: list[Ranking] = []
        with np.errstate(all="ignore"):  # vectors may hold infinities: their scores are no numbers, and no news
            for start in range(0, len(queries), block):
                found += self._search_block(queries[start : start + block], min(k, len(rows)), rows, farthest)
        return found

    def score(self, row: int, query: Floats) -> float:
        """The score of one row that has a vector."""
        with np.errstate(all="ignore"):
            return float(self._exact(np.array([row]), query)[0].astype(np.float64))

    def _rows(self, allowed: Mask | None) -> Rows:
        if allowed is None:
            return np.flatnonzero(self._present)
        common = min(len(allowed), len(self._present))
        return np.flatnonzero(self._present[:common] & allowed[:common])

    def _search_block(self, queries: Floats, k: int, rows: Rows, farthest: bool) -> list[Ranking]:
        norms = np.sqrt(np.einsum("ij,ij->i", queries, queries, dtype=np.float64))
        largest = float(self._norms[rows].max())
        keys = self._rough_keys(queries, rows, norms.astype(np.float32))
        found = []
        for query, norm, key in zip(queries, norms, keys, strict=True):
            candidates = rows[_possible(-key if farthest else key, k, self._slack(float(norm), largest))]
            found.append(self._order(candidates, query, k, farthest))
        return found

    def _order(self, candidates: Rows, query: Floats, k: int, farthest: bool) -> Ranking:
        scores = self._exact(candidates, query)
        descending = nearer_is_larger(self.metric) != farthest
        key = -scores if descending else scores
        order = np.lexsort((self._arrival[candidates], key))[:k]  # NaN sorts last
        return Ranking(candidates[order], scores[order])

    def _rough_keys(self, queries: Floats, rows: Rows, norms: Floats) -> Floats:
        """Smaller is nearer; shape queries x rows. Distances are squared, except `manhattan`."""
        if self.metric == "manhattan":
            return self._rough_manhattan(queries, rows)
        everything = len(rows) == len(self._present)
        if everything or len(rows) > _GATHER_BELOW * len(self._present):
            products: Floats = (self._matrix @ queries.T).T
            if not everything:
                products = products[:, rows]
        else:
            products = (self._matrix[rows] @ queries.T).T
        if self.metric == "dot":
            return -products
        lengths = self._norms[rows]
        if self.metric == "cosine":
            scales = lengths * norms[:, None]
            scales[~((scales > _SMALLEST_SCALE) & np.isfinite(scales))] = np.nan
            return -products / scales
        keys: Floats = lengths * lengths + (norms * norms)[:, None] - 2 * products
        return keys

    def _rough_manhattan(self, queries: Floats, rows: Rows) -> Floats:
        step = max(1, _MOST_CELLS // self.dimensions)
        keys = np.empty((len(queries), len(rows)), np.float32)
        for start in range(0, len(rows), step):
            block = self._matrix[rows[start : start + step]]
            for number, query in enumerate(queries):
                keys[number, start : start + step] = np.abs(block - query).sum(axis=1)
        return keys

    def _slack(self, query_norm: float, largest: float) -> float:
        """Twice the most by which a rough key can be off: a sum of d products is off by at most d roundings of the largest partial sum."""
        roundings = (self.dimensions + 8) * _UNIT_ROUNDOFF
        sizes = {"cosine": 1.0, "manhattan": math.sqrt(self.dimensions) * (query_norm + largest)}
        size = sizes.get(self.metric, (query_norm + largest) * (query_norm + largest))
        return 2 * (roundings * size + self.dimensions * _SMALLEST_NORMAL)

    def _exact(self, rows: Rows, query: Floats) -> Floats:
        step = max(1, _MOST_CELLS // self.dimensions // 2)
        blocks = [self._exact_block(rows[start : start + step], query.astype(np.float64)) for start in range(0, len(rows), step)]
        return np.concatenate(blocks).astype(np.float32)

    def _exact_block(self, rows: Rows, query: NDArray[np.float64]) -> NDArray[np.float64]:
        scores: NDArray[np.float64]
        block = self._matrix[rows].astype(np.float64)
        if self.metric in ("dot", "cosine"):
            scores = (block * query).sum(axis=1)
            if self.metric == "cosine":
                lengths = np.sqrt((block * block).sum(axis=1)) * np.sqrt((query * query).sum())
                scores /= np.where(lengths == 0, 1, lengths)
            return scores
        block -= query
        scores = np.abs(block).sum(axis=1) if self.metric == "manhattan" else (block * block).sum(axis=1)
        return np.sqrt(scores) if self.metric == "euclid" else scores

    def _reserve(self, rows: int) -> None:
        have = len(self._present)
        if rows <= have:
            return
        capacity = max(_FIRST_CAPACITY, rows, have + have // 2)
        more = capacity - have
        self._matrix = np.concatenate((self._matrix, np.zeros((more, self.dimensions), np.float32)))
        self._norms = np.concatenate((self._norms, np.zeros(more, np.float32)))
        self._present = np.concatenate((self._present, np.zeros(more, np.bool_)))
        self._arrival = np.concatenate((self._arrival, np.zeros(more, np.int64)))


def _possible(key: Floats, k: int, slack: float) -> NDArray[np.int64]:
    """Positions of keys that could be among the smallest `k`, each being off by at most half of `slack`. So could one that is no number."""
    if k >= len(key):
        return np.arange(len(key))
    numbers = np.where(np.isnan(key), np.float32(np.inf), key)
    limit = np.partition(numbers, k - 1)[k - 1] + slack
    return np.flatnonzero(~(key > limit))
