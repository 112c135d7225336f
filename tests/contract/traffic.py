"""Somebody else who asks all the time: a fault that hits nobody is no fault."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from harness.stack.base import Stack
from tests.contract.mock_traffic import PAUSE_S as MOCK_PAUSE_S
from tests.contract.mock_traffic import mock_caller

PAUSE_S = 0.1
TIMEOUT_S = 5.0
OF_MOCKS = ("chat", "embed", "store")


@contextmanager
def traffic(stack: Stack, kinds: tuple[str, ...]) -> Iterator[None]:
    """One caller of each kind, until the block ends: `search`, `ask`, `ingest` ten times a second at most, the rest oftener."""
    ended = threading.Event()
    threads = [
        threading.Thread(
            target=_repeat, args=(caller(stack, kind), MOCK_PAUSE_S if kind in OF_MOCKS else PAUSE_S, ended), name=kind, daemon=True
        )
        for kind in kinds
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(2 * TIMEOUT_S)


def caller(stack: Stack, kind: str) -> Callable[[int], object]:
    """Asks once; given the number of the question."""
    if kind in OF_MOCKS:
        return mock_caller(stack, kind)
    asks: dict[str, Callable[[int], tuple[str, dict[str, Any]]]] = {
        "search": lambda n: ("/api/search", {"query": f"module number {n}", "top_k": 4}),
        "ask": lambda n: ("/api/ask", {"question": f"What does module number {n} do?", "top_k": 4, "stream": False}),
        "ingest": lambda n: (
            "/api/documents",
            {"doc_id": f"note-{n}", "title": f"Note {n}", "text": f"Note {n} says little, and says it well."},
        ),
    }
    return lambda n: _post(stack, *asks[kind](n))


def _repeat(ask: Callable[[int], object], pause_s: float, ended: threading.Event) -> None:
    for n in count():
        with suppress(OSError, http.client.HTTPException):  # a caller of a broken service goes on asking
            ask(n)
        if ended.wait(pause_s):
            return


def _post(stack: Stack, path: str, body: dict[str, Any]) -> None:
    url = urlsplit(stack.entry_url)
    connection = http.client.HTTPConnection(url.hostname or "127.0.0.1", url.port, timeout=TIMEOUT_S)
    try:
        headers = {"content-type": "application/json", **({"authorization": f"Bearer {stack.api_key}"} if stack.api_key else {})}
        connection.request("POST", path, json.dumps(body), headers)
        connection.getresponse().read()
    finally:
        connection.close()
