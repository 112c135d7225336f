"""The provider in this process: requests by hand, replies on a clock of the test's own."""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mocks.common.journal import Journal
from mocks.faults.table import FaultTable
from mocks.http.message import Cut, Request
from mocks.llm.engine import Engine
from mocks.llm.exposition import Metrics
from mocks.llm.faults import FAULTS
from mocks.llm.ledger import Ledger
from mocks.llm.plan import Plan
from mocks.llm.profile import Profile
from mocks.llm.provider import Provider

CHAT_PATH, EMBEDDINGS_PATH = "/v1/chat/completions", "/v1/embeddings"
FACT = "[a.b] The colour of a.b is red.\n\nQuestion: What is the colour of a.b?"
ANSWER = "The colour of a.b is red. [a.b]"
ANSWER_TOKENS = 14


def chat(**change: Any) -> dict[str, Any]:
    return {"model": "rag-chat", "messages": [{"role": "user", "content": FACT}], **change}


class Clock:
    """Time passes only when a callback is due, plus `late_s` a wake-up."""

    def __init__(self, late_s: float = 0.0) -> None:
        self.now_s = 100.0
        self.late_s = late_s
        self._due: list[tuple[float, int, FakeTimer]] = []
        self._numbers = itertools.count()

    def at(self, moment_s: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(callback)
        heapq.heappush(self._due, (moment_s, next(self._numbers), timer))
        return timer

    def run(self, until_s: float = float("inf")) -> None:
        """Call back whatever is due until then."""
        while self._due and self._due[0][0] <= until_s:
            moment_s, _, timer = heapq.heappop(self._due)
            if timer.callback is not None:
                if moment_s > self.now_s:
                    self.now_s = moment_s + self.late_s
                timer.callback()
        self.now_s = max(self.now_s, until_s) if until_s != float("inf") else self.now_s


class FakeTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeReply:
    """Notes what is said, and when (milliseconds after the request)."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.gone = self.congested = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.content_type = ""
        self.body = b""
        self.said: list[tuple[int, Any]] = []
        self.ended: str | None = None
        self.next_cut: Cut | None = None
        self.drained: Callable[[], None] | None = None
        self._began_s = clock.now_s
        self._gone_callback: Callable[[], None] | None = None

    def now(self) -> float:
        return self.clock.now_s

    def at(self, moment_s: float, callback: Callable[[], None]) -> FakeTimer:
        return self.clock.at(moment_s, lambda: None if self.gone else callback())

    def on_gone(self, callback: Callable[[], None]) -> None:
        self._gone_callback = callback

    def on_drained(self, callback: Callable[[], None]) -> None:
        if self.congested:
            self.drained = callback
        else:
            self.at(self.now(), callback)

    def leave(self) -> None:
        """The client hangs up."""
        self.gone = True
        if self._gone_callback is not None:
            self._gone_callback()

    def drain(self) -> None:
        self.congested = False
        callback, self.drained = self.drained, None
        if callback is not None:
            callback()

    def send_lines(self, status: int, body: bytes, lines: bytes, content_type: str = "application/json") -> None:
        headers = dict(line.split(": ", 1) for line in lines.decode("latin-1").splitlines())
        self.send(status, body, headers, content_type)

    def send(
        self, status: int, body: bytes, headers: Mapping[str, str], content_type: str = "application/json", *, length: int | None = None
    ) -> None:
        assert not self.said and self.ended is None
        self.begin(status, headers, content_type)
        self.body = body
        self._say(body)
        self._over("complete")

    def begin(self, status: int, headers: Mapping[str, str], content_type: str) -> None:
        self.status, self.headers, self.content_type = status, dict(headers), content_type

    def flush(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        assert data and self.status and self.ended is None
        if not self.gone:
            self._say(data)

    def raw(self, data: bytes) -> None:
        self._say(data)

    def end(self) -> None:
        self._over("complete")

    def cut(self, how: Cut) -> None:
        self._over(how)

    def hang(self) -> None:
        self.ended = "hang"

    def cut_next(self, how: Cut) -> None:
        self.next_cut = how

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    def contents(self) -> list[tuple[int, str]]:
        """When each piece of text left."""
        events = ((at_ms, line) for at_ms, data in self.said for line in data.decode().split("\n\n") if line.startswith("data: {"))
        deltas = ((at_ms, choice["delta"]) for at_ms, line in events for choice in json.loads(line.removeprefix("data: "))["choices"])
        return [(at_ms, delta["content"]) for at_ms, delta in deltas if delta.get("content")]

    def text(self) -> str:
        return "".join(text for _, text in self.contents())

    def _say(self, data: bytes) -> None:
        self.said.append((self._ms(), data))

    def _ms(self) -> int:
        return round((self.clock.now_s - self._began_s) * 1_000)

    def _over(self, how: str) -> None:
        assert self.ended in (None, "hang")
        self.ended = how
        self._gone_callback = None


class Served:
    """A provider with a profile, and its journal."""

    def __init__(self, clock: Clock | None = None, *, log_requests: bool = False, **profile: Any) -> None:
        self.clock = clock or Clock()
        self.journal = Journal()
        self.metrics = Metrics("llm", "1")
        parsed = Profile.parse({"ttft_ms": 100, "itl_ms": 10, **profile})
        self.faults: FaultTable[Plan] = FaultTable(FAULTS, lambda: self.clock.now_s, parsed.seed)
        self.ledger = Ledger(self.metrics, self.journal, "llm", "llm-1", log_requests=log_requests)
        self.engine = Engine(parsed, self.faults, self.ledger)
        self._provider = Provider(self.engine)
        self._sequence = itertools.count(1)

    def ask(
        self, body: Any = None, path: str = CHAT_PATH, method: str = "POST", headers: Iterable[tuple[str, str]] = (), query: str = ""
    ) -> FakeReply:
        """One request; what is due later is up to `clock.run`."""
        reply = FakeReply(self.clock)
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        encoded = {name.lower().encode(): value.encode() for name, value in (("Content-Type", "application/json"), *headers)}
        self._provider(Request(method, path, query, encoded, raw, 1, next(self._sequence), self.clock.now_s, path), reply)
        return reply

    def answered(self, body: Any = None, path: str = CHAT_PATH, **how: Any) -> FakeReply:
        """One request, and all the time that it takes."""
        reply = self.ask(body, path, **how)
        self.clock.run()
        return reply

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(row) for row in self.journal.latest(100_000).rows]

    def last(self) -> dict[str, Any]:
        return self.rows()[-1]
