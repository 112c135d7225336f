"""Clients of vector stores, and what may become of their calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from mocks.rag.vectorstore.base import VectorStoreName

PATIENCE_S = 10.0
"""How long a call is waited for."""


@dataclass(frozen=True)
class Client:
    """A client and what it is asked."""

    environment: str
    product: VectorStoreName
    older: bool = False
    """From before 1.0: other words for the same things."""
    asynchronous: bool = False


@dataclass(frozen=True)
class Raises:
    """An exception; `older` names that of clients before 1.0, `source` what it wraps; "A or B": either, as TCP has it."""

    type: str
    text: str = ""
    older: str | None = None
    source: str | None = None

    def holds(self, found: dict[str, Any], client: Client) -> bool:
        wanted = self.older if client.older and self.older is not None else self.type
        if found.get("raised") not in wanted.split(" or ") or self.text not in found["text"]:
            return False
        return found["source"] is None if self.source is None else found["source"] in self.source.split(" or ")


@dataclass(frozen=True)
class Finds:
    """A list of points, taken for good; `scores` are those of the points unless they are named."""

    ids: tuple[int, ...] = (0, 2, 4)
    texts: tuple[str | None, ...] | None = None
    scores: tuple[float | str, ...] | None = None

    def holds(self, found: dict[str, Any], client: Client) -> bool:
        texts = tuple(f"text {i}" for i in self.ids) if self.texts is None else self.texts
        scores = [score_of(i, client) for i in self.ids] if self.scores is None else list(self.scores)
        return found.get("ids") == list(self.ids) and _begin_with(found["texts"], texts) and found["scores"] == scores


@dataclass(frozen=True)
class Writes:
    """An acknowledgement, taken for good."""

    def holds(self, found: dict[str, Any], client: Client) -> bool:
        return bool(found.get("wrote", "nothing") == ("completed" if client.product == "qdrant" else None))


@dataclass(frozen=True)
class Waits:
    """Nothing, for as long as one likes to watch."""

    def holds(self, found: dict[str, Any], client: Client) -> bool:
        return found.get("waits") is True and found["took_s"] >= PATIENCE_S


Outcome = Raises | Finds | Writes | Waits


def score_of(point: int, client: Client) -> float:
    """Cosine similarity (of Chroma, distance) of [1, point / 10] to [1, 0]."""
    similarity = 1 / sqrt(1 + (point / 10) ** 2)
    return round(similarity if client.product == "qdrant" else 1 - similarity, 3)


def _begin_with(texts: Sequence[str | None], wanted: Sequence[str | None]) -> bool:
    return len(texts) == len(wanted) and all(
        one == two if one is None or two is None else one.startswith(two) for one, two in zip(texts, wanted, strict=True)
    )
