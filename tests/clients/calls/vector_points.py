"""What the collections of `vector_faults` hold, and how a search in them is told."""

from __future__ import annotations

from collections.abc import Iterable

POINTS = 8
VECTORS = [[1.0, i / 10] for i in range(POINTS)]
TEXTS = [f"text {i}" for i in range(POINTS)]
TENANTS = ["ab"[i % 2] for i in range(POINTS)]
BEFORE = "text of 1999"  # of the first point, until it was replaced
NEW, NEW_VECTOR, NEW_TEXT = POINTS, [1.0, 5.0], "new text"

ASKED, LIMIT, TENANT = [1.0, 0.0], 3, "a"
"""The search: the nearest so many of one tenant."""


def told(ids: Iterable[int], scores: Iterable[float], texts: Iterable[str | None]) -> dict[str, object]:
    """The points found, best first, as JSON; NaN and infinities as text."""
    return {
        "ids": list(ids),
        "scores": [round(score, 3) if abs(score) < float("inf") else str(score) for score in scores],
        "texts": list(texts),
    }
