"""Somebody else who asks the mocks: requests of every kind that a fault of theirs may be meant for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any

from harness.faults.llm_probe import CHAT_PATH, DOCUMENTS, EMBEDDINGS_PATH
from harness.faults.programmed.wire import Ask, Exchange, Wire
from harness.record.clock import SystemClock
from harness.stack.base import KeyedProviders, Stack

PAUSE_S = 0.01
PATIENCE_S = 0.25
MOST_BYTES = 50_000
POINTS = 8


def mock_caller(stack: Stack, kind: str) -> Callable[[int], object]:
    """Asks once, in turn for each thing that a caller of this kind (`chat`, `embed`, `store`) wants."""
    service = "vector" if kind == "store" else "llm"
    headers = {"user-agent": "contract"}
    if isinstance(stack, KeyedProviders) and service == "llm":
        headers["authorization"] = f"Bearer {stack.provider_key}"
    url, clock = stack.instances(service)[0].url, SystemClock()
    turns = cycle({"chat": _chats, "embed": _embeds, "store": _stores}[kind])

    def ask(n: int) -> list[Exchange]:
        asks = next(turns)(n)
        with Wire(url, clock, headers) as wire:
            return [wire.exchange(one) for one in asks]

    return ask


def _chat(n: int, **more: Any) -> list[Ask]:
    turns = [{"role": "system", "content": f"You are asked for the {n}th time. " * 10}, {"role": "user", "content": DOCUMENTS}]
    return [Ask("chat", "POST", CHAT_PATH, {"model": "rag-chat", "messages": turns, **more}, PATIENCE_S, MOST_BYTES)]


_chats: Sequence[Callable[[int], list[Ask]]] = (
    lambda n: _chat(n, stream=True),
    lambda n: _chat(n, max_tokens=500),
    lambda n: _chat(n, stream=True, stream_options={"include_usage": True}),
)


def _embed(n: int) -> list[Ask]:
    body = {"model": "rag-embedding", "input": [f"text {i} of {n}" for i in range(4)], "encoding_format": "float"}
    return [Ask("embed", "POST", EMBEDDINGS_PATH, body, PATIENCE_S)]


_embeds: Sequence[Callable[[int], list[Ask]]] = (_embed,)


def _store(n: int) -> Iterator[Ask]:
    path = "/collections/library"
    yield Ask("create", "PUT", path, {"vectors": {"size": 3, "distance": "Cosine"}}, PATIENCE_S)
    payloads = [{"text": f"Note {i} of {n} says {i + n}.", "tenant": "a" if i % 2 else "b"} for i in range(POINTS)]
    points = [{"id": i, "vector": [1.0, 0.1 * i, 0.0], "payload": payload} for i, payload in enumerate(payloads)]
    yield Ask("write", "PUT", f"{path}/points?wait=true", {"points": points}, PATIENCE_S)
    only = {"must": [{"key": "tenant", "match": {"value": "a"}}]}
    query = {"query": [1.0, 0.0, 0.0], "limit": 3, "with_payload": True, "filter": only}
    yield Ask("search", "POST", f"{path}/points/query", query, PATIENCE_S)
    yield Ask("list", "GET", "/collections", None, PATIENCE_S)


_stores: Sequence[Callable[[int], list[Ask]]] = (lambda n: list(_store(n)),)
