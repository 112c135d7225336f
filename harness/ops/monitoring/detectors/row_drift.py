"""Drift of rows: embeddings, or several scores at once. Maximum mean discrepancy over a stream."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

from harness.ops.monitoring.detectors.base import reading
from harness.ops.monitoring.detectors.drift import mmd
from harness.ops.monitoring.detectors.history import Values

_SIGNIFICANT = 1e-3
_PERMUTATIONS = 1_999  # so that the p-value can come below what is significant
_GIVE_UP_AT = 10
_SEED = 7


class SlidingMmd:
    """A reference of 150 rows against the last 50, looked at every 25; the score is 0.5 at p = 0.001. After a change, what is
    recent becomes the reference. A look at calm rows takes about a millisecond, one at changed ones a tenth of a second.
    """

    def __init__(self, reference: int = 150, recent: int = 50, every: int = 25) -> None:
        self._size, self._every = reference, every
        self._reference: list[Values] = []
        self._recent: deque[Values] = deque(maxlen=recent)
        self._count = 0
        self._score = 0.0
        self._rng = np.random.default_rng(_SEED)

    def update(self, t_s: float, values: Sequence[float]) -> float:  # noqa: ARG002  # the order of arrival counts
        """See `MultivariateDetector.update`."""
        row = np.array([reading(value) for value in values])
        if self._reference and row.shape != self._reference[0].shape:
            raise ValueError(f"a row of {row.size} values where there were {self._reference[0].size}")
        if not row.size or not np.isfinite(row).all():
            return 0.0
        if len(self._reference) < self._size:
            self._reference.append(row)
            return 0.0
        self._recent.append(row)
        self._count += 1
        if len(self._recent) < (self._recent.maxlen or 0) or self._count % self._every:
            return self._score
        _, p = mmd(np.array(self._reference), np.array(self._recent), self._rng, _PERMUTATIONS, _GIVE_UP_AT)
        excess = math.log(p) / math.log(_SIGNIFICANT)
        self._score = excess / (1.0 + excess)
        if p > _SIGNIFICANT:
            return self._score
        self._reference = list(self._recent)
        self._recent.clear()
        told, self._score = self._score, 0.0
        return told
