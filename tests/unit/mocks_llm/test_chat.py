"""When the chunks of a stream leave, on a clock of the test's own; and the bounded journal."""

import asyncio
import json
import time
from typing import Any

import pytest

from mocks.llm.asgi import Message
from mocks.llm.chat import ChatSender, complete
from mocks.llm.exchange import Exchange, Ledger
from mocks.llm.fault_types import CHAT, Plan
from mocks.llm.metrics import Metrics
from mocks.llm.pacing import Pacer
from mocks.llm.profile import Profile
from mocks.llm.requests import parse_chat

PROMPT = "[a.b] The colour of a.b is red.\n\nQuestion: What is the colour of a.b?"
ANSWER_TOKENS = 14


async def nothing_more() -> Message:
    return await asyncio.get_running_loop().create_future()


class SteppingPacer(Pacer):
    """Time passes only by waiting, plus `late_s` a wait; the client goes at `gone_at_s`."""

    def __init__(self, late_s: float = 0.0) -> None:
        super().__init__(nothing_more)
        self.time_s = 100.0
        self.gone_at_s = float("inf")
        self._late_s = late_s

    def now(self) -> float:
        return self.time_s

    async def until(self, moment_s: float) -> bool:
        if moment_s > self.time_s:
            self.time_s = moment_s + self._late_s
        return self.time_s < self.gone_at_s


def stream(tokens_per_chunk: int, late_s: float = 0.0, gone_s: float = float("inf")) -> tuple[list[tuple[int, list[str]]], Exchange]:
    """The writes of one stream at 10 ms a token: milliseconds after the first token was due, and the content of each event.

    The client goes `gone_s` after that moment.
    """
    request = parse_chat({"model": "m", "messages": [{"role": "user", "content": PROMPT}], "stream": True})
    answer = complete(request)
    exchange = Exchange("POST", CHAT, time.monotonic(), "r")
    sender = ChatSender(
        exchange, Plan("m", 0.1, 0.01), answer, "chatcmpl-1", Profile(tokens_per_chunk=tokens_per_chunk, snapshots={"m": "m-2026-01-01"})
    )
    writes: list[tuple[int, list[str]]] = []
    due_s: list[float] = []

    async def run() -> None:
        pacer = SteppingPacer(late_s)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                if not writes:
                    due_s.append(pacer.time_s - late_s)
                    pacer.gone_at_s = due_s[0] + gone_s
                writes.append((round((pacer.time_s - due_s[0]) * 1_000), contents(message["body"])))

        await sender.send(request, pacer, send, {}, Metrics("llm", "1"))

    asyncio.run(run())
    return writes, exchange


def contents(body: bytes) -> list[str]:
    found = []
    for line in body.decode().split("\n\n"):
        if line and line != "data: [DONE]":
            event: dict[str, Any] = json.loads(line.removeprefix("data: "))
            found.append(event["choices"][0]["delta"].get("content") or "")
    return [content for content in found if content]


def test_every_token_leaves_when_it_is_due() -> None:
    writes, exchange = stream(1)
    assert [at_ms for at_ms, _ in writes] == [10 * i for i in range(ANSWER_TOKENS)]
    assert [len(events) for _, events in writes] == [1] * ANSWER_TOKENS
    assert "".join(event for _, events in writes for event in events) == "The colour of a.b is red. [a.b]"
    assert (exchange.ending, exchange.finish_reason, exchange.completion_tokens) == ("complete", "stop", ANSWER_TOKENS)


def test_larger_chunks_leave_with_their_last_token_and_the_first_token_alone() -> None:
    writes, _ = stream(3)
    assert [at_ms for at_ms, _ in writes] == [0, 30, 60, 90, 120, 130]
    assert [events for _, events in writes][:3] == [["The"], [" colour of a"], [".b is"]]


def test_what_a_late_wake_up_left_behind_leaves_at_once_and_the_schedule_stays() -> None:
    writes, exchange = stream(1, late_s=0.025)
    assert [at_ms for at_ms, _ in writes] == [25, 55, 85, 115, 145]
    assert [len(events) for _, events in writes] == [3, 3, 3, 3, 2]
    assert exchange.completion_tokens == ANSWER_TOKENS


def test_a_client_that_goes_is_sent_no_more() -> None:
    writes, exchange = stream(1, gone_s=0.021)
    assert [at_ms for at_ms, _ in writes] == [0, 10, 20]
    assert (exchange.ending, exchange.finish_reason, exchange.completion_tokens) == ("disconnected", None, 3)


def test_waiting_ends_when_the_client_goes() -> None:
    async def run() -> bool:
        gone: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        async def receive() -> Message:
            return await gone

        async with Pacer(receive) as pacer:
            asyncio.get_running_loop().call_soon(gone.set_result, {"type": "http.disconnect"})
            return await pacer.until(pacer.now() + 3_600)

    assert asyncio.run(asyncio.wait_for(run(), 10)) is False


def test_the_journal_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    ledger = Ledger(Metrics("llm", "1"), "llm", "llm-1", log_requests=False)
    for number in range(1_500):
        ledger.finish(Exchange("POST", CHAT, time.monotonic(), f"r{number}", status=200))
    assert [row["request_id"] for row in ledger.latest(10_000)] == [f"r{number}" for number in range(500, 1_500)]
    assert [row["request_id"] for row in ledger.latest(2)] == ["r1498", "r1499"]
    assert ledger.latest(0) == []
    assert capsys.readouterr().out == ""
