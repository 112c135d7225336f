"""The harness's own requests to a vector store, to a small collection of its own: what must come back is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from harness.faults.base import Context, FaultError
from harness.faults.programmed.row import Look, Row
from harness.faults.programmed.wire import Ask, Exchange, Wire
from harness.faults.vector_products import PRODUCTS, Chroma, Hit, Point, Product, Qdrant
from harness.stack.base import Stack

LIST, SEARCH, REWRITE, REUSE, CROWD = "list", "search", "rewrite", "reuse", "crowd"
"""Kinds of looks: the list of collections; points written and searched; written twice and searched; two requests on one connection; several
at the same time.
"""
ABREAST = 4
OUT_OF_REACH = ("collections", "accounts", "tenants", "routes")
"""Parts of `match` that our own collection cannot be among."""
OPERATIONS: Mapping[str, tuple[str, ...]] = {
    LIST: ("collection_list",),
    CROWD: ("collection_list",),
    REUSE: ("collection_list",),
    SEARCH: ("collection_create", "upsert", "query", "collection_delete"),
    REWRITE: ("collection_create", "upsert", "query", "collection_delete"),
}
KINDS: Mapping[str, tuple[str, ...]] = {
    LIST: ("read",),
    CROWD: ("read",),
    REUSE: ("read",),
    SEARCH: ("read", "write"),
    REWRITE: ("read", "write"),
}

DIMENSIONS = 4
POINTS = 48
OWN, FOREIGN = "red", "blue"
ASKED = (1.0, 0.0, 0.0, 0.0)
LATE_S = 0.3
FIND_OUT_S = 2.0


def own_points(version: int = 1, key: str = "tenant") -> list[Point]:
    """Each farther from `ASKED` than the one before; every third is a foreign tenant's, which stands under `key` as well."""
    return [_point(n, version, {"tenant": _tenant(n), key: _tenant(n)}) for n in range(1, POINTS + 1)]


def _point(n: int, version: int, labels: Mapping[str, str]) -> Point:
    angle = 0.02 * n
    return Point(n, (math.cos(angle), math.sin(angle), 0.0, 0.0), f"Shelf {n} of version {version} holds {10 * n} books.", labels)


def _tenant(id_: int) -> str:
    return FOREIGN if id_ % 3 == 0 else OWN


def nearest(k: int) -> list[int]:
    """The ids that the search must find."""
    return [n for n in range(1, POINTS + 1) if _tenant(n) == OWN][:k]


def hits_of(look: Look) -> list[Hit] | None:
    """The results of a look's search, in either product's words; None where there was none."""
    answer = look.get("search")
    if answer is None or not answer.good:
        return None
    products: tuple[Product, ...] = (Qdrant(), Chroma())
    return next((found for product in products if (found := product.hits(answer)) is not None), None)


class VectorProbe:
    """Asks one store. Options: `k` (results asked for), `key` (that tells tenants apart), `late_s`, `healthy`."""

    def __init__(self, url: str, stack: Stack, context: Context) -> None:  # noqa: ARG002 - the stores of our stacks want no key
        self._url = url
        self._clock = context.clock
        self._found: Product | None = None

    def look(self, kind: str, options: Mapping[str, Any], match: Mapping[str, Any], again: bool) -> Look:  # noqa: ARG002 - each is the same
        product = self._product()
        within_s = _patience_s(options)
        if kind == CROWD:
            with ThreadPoolExecutor(ABREAST) as pool:
                found = pool.map(lambda _: self._one(product.listing(), within_s), range(ABREAST))
            return {f"list_{n}": one for n, one in enumerate(found)}
        with Wire(self._url, self._clock, {}) as wire:
            if kind in (LIST, REUSE):
                asks = [product.listing(), replace(product.listing(), step="again")][: 2 if kind == REUSE else 1]
                return {ask.step: wire.exchange(replace(ask, within_s=within_s)) for ask in asks}
        return self._searched(product, kind, options, within_s)

    def kind_for(self, row: Row, match: Mapping[str, Any]) -> str | None:
        if any(key in match for key in OUT_OF_REACH):
            return None
        kinds = (*row.asks, SEARCH) if LIST in row.asks else row.asks
        return next((kind for kind in kinds if _meets(kind, match)), None)

    def fine(self, look: Look) -> bool:
        if not all(one.good and one.value() is not None for one in look.values()):
            return False
        found = [hit.id for hit in hits_of(look) or ()]
        return "search" not in look or found == nearest(len(found)) != []

    def right(self, look: Look) -> bool:
        return self.fine(look)

    def _searched(self, product: Product, kind: str, options: Mapping[str, Any], within_s: float) -> Look:
        """Each step on a connection of its own: one that was cut must not be blamed for the next."""
        found, key = dict[str, Exchange](), str(options.get("key", "tenant"))
        found["create"] = self._one(product.create(DIMENSIONS), within_s)
        if product.opened(found["create"]):
            if kind == REWRITE:
                found["write_before"] = self._one(product.write(own_points(0, key)), within_s)
            found["write"] = self._one(product.write(own_points(1, key)), within_s)
            found["search"] = self._one(product.search(ASKED, int(options.get("k", 5)), OWN), within_s)
        if found["create"].ended == "complete":
            found["drop"] = self._one(product.drop(), within_s)
        return found

    def _one(self, ask: Ask, within_s: float) -> Exchange:
        with Wire(self._url, self._clock, {}) as wire:
            return wire.exchange(replace(ask, within_s=within_s))

    def _product(self) -> Product:
        """Found out once, before a fault is there. Raises FaultError."""
        if self._found is None:
            self._found = next((kind() for kind in PRODUCTS if self._one(kind().listing(), FIND_OUT_S).good), None)
        if self._found is None:
            raise FaultError(f"{self._url} lists its collections neither as Qdrant nor as Chroma does")
        return self._found


def _meets(kind: str, match: Mapping[str, Any]) -> bool:
    return _common(match.get("operations"), OPERATIONS[kind]) and _common(match.get("kinds"), KINDS[kind])


def _common(wanted: Sequence[str] | None, ours: Sequence[str]) -> bool:
    return wanted is None or not set(wanted).isdisjoint(ours)


def _patience_s(options: Mapping[str, Any]) -> float:
    """Several times what the healthy answer took, and what the fault adds."""
    healthy: Look | None = options.get("healthy")
    took_s = max(one.took_s for one in healthy.values()) if healthy else 2.0
    return max(LATE_S, 5 * took_s) + 1.5 * float(options.get("late_s", 0.0))
