"""Questions of the operator's own, whose answers are known: what is served in time, without error and wrong shows in nothing else.

They are asked of single services, by the interfaces of the reference stack (docs/reference-stack.md), one at a time, beside the rounds. The
targets file says which service takes which canary.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx

from harness.ops.monitoring.rounds import CanaryAnswer
from harness.ops.targets import Endpoint

TIMEOUT_S = 3.0
FACT = "QX-4711-BRAVO"
"""Stands in one context of the generation canary alone: only an answer from that context can hold it."""
SOURCE = "canary-beacon"
_CONTEXTS = (
    {"doc_id": SOURCE, "text": f"The reference code of the north beacon is {FACT}. It was painted red in spring."},
    {"doc_id": "canary-harbour", "text": "The harbour office opens at seven and closes at noon. Visitors sign the book at the gate."},
)
_GENERATION = ("What is the reference code of the north beacon?",)
_TEXTS = ("the red beacon at the northern end of the harbour", "a function that returns the arc cosine of its argument")
_SEARCHES = ("reference code", "return the value of a function", "how is it used and what does it do")
_TOP_K = range(6, 50)
"""Another number of results each time is another entry of any cache: the first five are compared."""


def _embedding(turn: int) -> tuple[int, str, Mapping[str, Any]]:
    """Texts that no cache has seen, and that lie close to those that are remembered."""
    return 0, "/embed", {"texts": [f"{text} {turn}" for text in _TEXTS]}


def _search(turn: int) -> tuple[int, str, Mapping[str, Any]]:
    question = turn % len(_SEARCHES)
    return question, "/search", {"query": _SEARCHES[question], "top_k": _TOP_K[turn // len(_SEARCHES) % len(_TOP_K)]}


def _generation(turn: int) -> tuple[int, str, Mapping[str, Any]]:
    question = turn % len(_GENERATION)
    return question, "/generate", {"question": _GENERATION[question], "contexts": list(_CONTEXTS), "stream": False}


CANARIES: Mapping[str, Callable[[int], tuple[int, str, Mapping[str, Any]]]] = {
    "embedding": _embedding,
    "search": _search,
    "generation": _generation,
}


class CanaryAsker:
    """Asks the next canary of the next instance each time it is told to, and never two at once."""

    def __init__(self, services: Mapping[str, str]) -> None:
        """`services` by canary."""
        self._services = {canary: service for canary, service in services.items() if canary in CANARIES}
        self._client = httpx.Client(timeout=TIMEOUT_S)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="canary")
        self._turns = count()
        self._answers: deque[CanaryAnswer] = deque()
        self._busy = threading.Event()

    def ask(self, endpoints: Sequence[Endpoint]) -> None:
        """Returns at once."""
        if not self._services or self._busy.is_set():
            return
        turn = next(self._turns)
        canary = list(self._services)[turn % len(self._services)]
        own_turn = turn // len(self._services)
        instances = [e for e in endpoints if e.service == self._services[canary]]
        if instances:
            self._busy.set()
            self._pool.submit(self._ask, canary, instances[own_turn % len(instances)], own_turn)

    def taken(self) -> tuple[CanaryAnswer, ...]:
        """Those that have come since the last time."""
        found = []
        while self._answers:
            found.append(self._answers.popleft())
        return tuple(found)

    def close(self) -> None:
        """Waits for the one that is under way."""
        self._pool.shutdown()
        self._client.close()

    def _ask(self, canary: str, endpoint: Endpoint, turn: int) -> None:
        question, path, wanted = CANARIES[canary](turn)
        try:
            response = self._client.post(endpoint.url + path, json=wanted)
            document = response.json() if response.is_success else None
        except (httpx.HTTPError, ValueError):
            document = None
        body = document if isinstance(document, dict) else None
        self._answers.append(CanaryAnswer(canary, endpoint.service, endpoint.instance, question, body))
        self._busy.clear()
