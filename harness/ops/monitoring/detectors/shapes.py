"""Has a cycle looked like this before? Distance of the last cycle to the nearest of the earlier ones."""

from __future__ import annotations

import numpy as np

from harness.ops.monitoring.detectors.history import KEPT, History, Values
from harness.ops.monitoring.detectors.tail import UNTRIED, Tail

SHORTEST = 16  # points of a cycle that has a shape
_SAMPLES = 16  # means that a cycle is reduced to
_REMEMBERED = 128
_A_CYCLE = 8  # looks
_STEADIEST = 0.3  # of the scale: the least deviation that a cycle is normalised by
_FLOOR = 0.05


class Shapes:
    """Nearest-neighbour distance among normalised cycles of `length` points, eight looks a cycle: a coarse left matrix profile."""

    def __init__(self, length: int, history: History, scale: float) -> None:
        self.length = length
        self._scale = scale
        self._every = max(4, length // _A_CYCLE)
        self._tail = Tail(kept=12, apart=4)
        self._bank = np.zeros((_REMEMBERED, _SAMPLES), dtype=np.float32)
        self._edges = np.linspace(0, length, _SAMPLES + 1).astype(int)
        self._widths = np.diff(self._edges)
        self._seen = self._waited = 0
        self._surprise = UNTRIED
        past = history.last(KEPT)
        for end in range(length, len(past) + 1, self._every):
            self._remember(self._reduced(past[end - length : end]))

    def surprise(self, history: History) -> float:
        """As of the last look, in nats beyond the expected record."""
        self._waited += 1
        if self._waited == self._every:
            self._waited = 0
            self._look(self._reduced(history.last(self.length)))
        return self._surprise

    def _look(self, shape: Values) -> None:
        known = min(self._seen, _REMEMBERED)
        if known > 3 * _A_CYCLE:
            squared = ((self._bank[:known] - shape) ** 2).mean(axis=1)
            itself = (self._seen - 1 - np.arange(_A_CYCLE + 1)) % _REMEMBERED  # these overlap the cycle at hand
            squared[itself[itself < known]] = np.inf
            self._surprise = self._tail.surprise(float(np.sqrt(squared.min())), _FLOOR)
        self._remember(shape)

    def _remember(self, shape: Values) -> None:
        self._bank[self._seen % _REMEMBERED] = shape
        self._seen += 1

    def _reduced(self, cycle: Values) -> Values:
        means = np.add.reduceat(cycle, self._edges[:-1]) / self._widths
        centred: Values = means - means.mean()
        deviation = float(np.sqrt(np.mean(centred * centred)))
        return centred / max(deviation, _STEADIEST * self._scale, 1e-300)
