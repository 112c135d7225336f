"""Who answers the next request: weights by side, changed in one step, and what became of every request that passed."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

KEPT = 200_000
"""Answers that are kept for whoever reads them: more than an hour at 40/s."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One request that passed. Times are monotonic nanoseconds of the machine; `version` is what the service itself said."""

    number: int
    start_ns: int
    end_ns: int
    route: str
    side: str | None  # None: there was nobody to ask
    status: int  # 0: it broke off
    version: str | None


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of the traffic by side. Immutable: a shift replaces it whole, so no request ever sees half of one."""

    urls: Mapping[str, str]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        unknown = sorted(self.weights.keys() - self.urls.keys())
        if unknown:
            raise ValueError(f"no side {', '.join(unknown)}; there are {', '.join(sorted(self.urls)) or 'none'}")
        if any(not 0 <= weight <= 100 for weight in self.weights.values()):
            raise ValueError("a weight is from 0 to 100")


class Table:
    """The state of the router. For one event loop."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._now = Weights({}, {})
        self._in_flight: dict[str, int] = {}
        self._answers: deque[Answered] = deque(maxlen=KEPT)
        self._number = 0

    def shift(self, weights: Weights) -> None:
        """Every request that arrives from now on goes by these."""
        self._now = weights

    def choose(self) -> tuple[str, str] | None:
        """Side and URL for the next request; None where no side has any weight."""
        now = self._now
        sides = [side for side, weight in now.weights.items() if weight > 0]
        if not sides:
            return None
        side = sides[0] if len(sides) == 1 else self._random.choices(sides, [now.weights[s] for s in sides])[0]
        return side, now.urls[side]

    def begin(self, side: str) -> None:
        """A request goes there."""
        self._in_flight[side] = self._in_flight.get(side, 0) + 1

    def end(self, side: str | None, start_ns: int, end_ns: int, route: str, status: int, version: str | None) -> None:
        """A request has ended."""
        if side is not None:
            self._in_flight[side] -= 1
        self._number += 1
        self._answers.append(Answered(self._number, start_ns, end_ns, route, side, status, version))

    def state(self) -> dict[str, Any]:
        """`{urls, weights, in_flight, answered}`."""
        now = self._now
        return {"urls": dict(now.urls), "weights": dict(now.weights), "in_flight": dict(self._in_flight), "answered": self._number}

    def answers_after(self, number: int, most: int) -> list[dict[str, Any]]:
        """Those with a greater number, the oldest first. A gap between `number` and the first means that some are lost."""
        skip = max(0, len(self._answers) - max(0, self._number - number))
        return [asdict(answer) for answer in islice(self._answers, skip, skip + most)]
