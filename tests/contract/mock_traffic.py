"""Somebody else who asks the mocks: requests of every kind that a fault of theirs may be meant for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle
from typing import Any

from harness.faults.llm_probe import CHAT_PATH, DOCUMENTS, EMBEDDINGS_PATH
from harness.faults.programmed.wire import Ask, Exchange, Wire
from harness.faults.vector_products import PRODUCTS, Point
from harness.record.clock import SystemClock
from harness.stack.base import KeyedProviders, Stack

PAUSE_S = 0.01
PATIENCE_S = 0.25
FIRST_PATIENCE_S = 30.0  # while no fault is there yet, whoever is late is so for the machine's sake
MOST_BYTES = 50_000
POINTS = 8
RENEWED_EVERY = 5


def mock_caller(stack: Stack, kind: str) -> Callable[[int], object]:
    """Asks once, in turn for each thing that a caller of this kind (`chat`, `embed`, `store`) wants."""
    if kind == "store":
        return _store_caller(stack.instances("vector")[0].url)
    headers = {"user-agent": "contract"}
    if isinstance(stack, KeyedProviders):
        headers["authorization"] = f"Bearer {stack.provider_key}"
    url, clock = stack.instances("llm")[0].url, SystemClock()
    turns = cycle({"chat": _chats, "embed": _embeds}[kind])

    def ask(n: int) -> Exchange:
        with Wire(url, clock, headers) as wire:
            return wire.exchange(next(turns)(n))

    return ask


def _chat(n: int, **more: Any) -> Ask:
    turns = [{"role": "system", "content": f"You are asked for the {n}th time. " * 10}, {"role": "user", "content": DOCUMENTS}]
    return Ask("chat", "POST", CHAT_PATH, {"model": "rag-chat", "messages": turns, **more}, PATIENCE_S, MOST_BYTES)


_chats: Sequence[Callable[[int], Ask]] = (
    lambda n: _chat(n, stream=True),
    lambda n: _chat(n, max_tokens=500),
    lambda n: _chat(n, stream=True, stream_options={"include_usage": True}),
)


def _embed(n: int) -> Ask:
    body = {"model": "rag-embedding", "input": [f"text {i} of {n}" for i in range(4)], "encoding_format": "float"}
    return Ask("embed", "POST", EMBEDDINGS_PATH, body, PATIENCE_S)


_embeds: Sequence[Callable[[int], Ask]] = (_embed,)


def _store_caller(url: str) -> Callable[[int], object]:
    """Fills a collection again and again, and searches in it for one tenant, in whichever product's words."""
    clock = SystemClock()

    def exchange(ask: Ask, within_s: float = PATIENCE_S) -> Exchange:
        with Wire(url, clock, {"user-agent": "contract"}) as wire:
            return wire.exchange(replace(ask, within_s=within_s))

    product = next(found for kind in PRODUCTS if exchange((found := kind("library")).listing(), FIRST_PATIENCE_S).good)
    created = exchange(product.create(3), FIRST_PATIENCE_S)

    def ask(n: int) -> None:
        exchange(product.listing())
        if product.opened(created if n % RENEWED_EVERY else exchange(product.create(3))):
            exchange(product.write([_note(i, n) for i in range(1, POINTS)]))
            exchange(product.search((1.0, 0.0, 0.0), 3, "a"))

    return ask


def _note(id_: int, n: int) -> Point:
    return Point(id_, (1.0, 0.1 * id_, 0.0), f"Note {id_} of {n} says {id_ + n}.", {"tenant": "a" if id_ % 2 else "b"})
