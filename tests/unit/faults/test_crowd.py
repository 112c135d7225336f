"""Clients that misbehave, against a small server that counts what reaches it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any

import pytest

from harness.faults.crowd.kinds import KINDS, Crowd

WITHIN_S = 60.0


class Server:
    """Answers every request after `delay_s` with `status`, once `together` are open; notes bodies and how many connections are open."""

    def __init__(self, delay_s: float = 0.0, status: int = 200, together: int = 1) -> None:
        self.delay_s, self.status, self.together = delay_s, status, together
        self.bodies: list[bytes] = []
        self.open = 0
        self.most_open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            self.bodies.append(await reader.readexactly(length))
            await asyncio.sleep(self.delay_s)
            await until(lambda: self.most_open >= self.together)
            writer.write(f"HTTP/1.1 {self.status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}".encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def crowd_at(server: Server, kind: str, **plan: Any) -> AsyncIterator[Crowd]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    crowd = Crowd("127.0.0.1", port, "/api/ask", asks=True, headers={"authorization": "Bearer k"}, plan=plan, random=Random(1))
    work = asyncio.ensure_future(KINDS[kind](crowd))
    try:
        yield crowd
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
        listening.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a server
            await asyncio.sleep(0.005)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]  # every scenario here is a coroutine function


def test_steady_clients_ask_different_questions() -> None:
    async def scenario() -> None:
        server = Server()
        async with crowd_at(server, "steady", rate=200, timeout_s=WITHIN_S) as crowd:
            await until(lambda: crowd.tally.answered >= 20)
        questions = [json.loads(body)["question"] for body in server.bodies]
        assert len(set(questions)) == len(questions)
        assert crowd.tally.failed == crowd.tally.dropped == 0

    run(scenario)


def test_they_keep_their_pace_though_nobody_answers() -> None:
    async def scenario() -> None:
        server = Server(delay_s=60)
        async with crowd_at(server, "steady", rate=100, timeout_s=60) as crowd:
            await until(lambda: crowd.tally.sent >= 30)
            assert crowd.tally.answered == 0

    run(scenario)


def test_a_hot_key_is_one_question_and_a_long_one_is_long() -> None:
    async def scenario() -> None:
        server = Server()
        async with crowd_at(server, "steady", rate=200, timeout_s=WITHIN_S, same=True, chars=700) as crowd:
            await until(lambda: crowd.tally.answered >= 5)
        questions = [json.loads(body)["question"] for body in server.bodies]
        assert {len(question) for question in questions} == {700}
        assert all(question.endswith(" What do the documents say?") for question in questions)

    run(scenario)


def test_without_patience_a_call_becomes_many_requests() -> None:
    async def scenario() -> None:
        server = Server(delay_s=60)
        async with crowd_at(server, "retrying", rate=20, patience_s=0.02, retries=3) as crowd:
            await until(lambda: crowd.tally.failed >= 8)
            assert crowd.tally.sent > crowd.tally.calls

    run(scenario)


def test_patient_ones_that_are_answered_do_not_retry() -> None:
    async def scenario() -> None:
        async with crowd_at(Server(), "retrying", rate=100, patience_s=WITHIN_S, retries=3) as crowd:
            await until(lambda: crowd.tally.answered >= 10)
            assert crowd.tally.sent == crowd.tally.calls

    run(scenario)


def test_an_error_is_retried_too() -> None:
    async def scenario() -> None:
        async with crowd_at(Server(status=503), "retrying", rate=5, patience_s=WITHIN_S, retries=2) as crowd:
            await until(lambda: crowd.tally.failed >= 3)
            assert crowd.tally.answered == 0

    run(scenario)


def test_a_herd_comes_at_once() -> None:
    async def scenario() -> None:
        server = Server(together=25)
        async with crowd_at(server, "herd", clients=25, every_s=600, timeout_s=WITHIN_S) as crowd:
            await until(lambda: crowd.tally.answered == 25)
        assert server.most_open == 25

    run(scenario)


def test_dripping_clients_hold_their_connections() -> None:
    async def scenario() -> None:
        server = Server()
        async with crowd_at(server, "dripping", clients=12) as crowd:
            await until(lambda: server.open == 12 and crowd.tally.held == 12)
            assert server.bodies == []
        await until(lambda: server.open == 0)

    run(scenario)


@pytest.mark.parametrize("kind", ["steady", "retrying", "herd"])
def test_nobody_there_is_a_failure_and_no_crash(kind: str) -> None:
    async def scenario() -> None:
        plan = {"rate": 50, "timeout_s": 1, "patience_s": 1, "retries": 1, "clients": 3, "every_s": 0.5}
        crowd = Crowd("127.0.0.1", 1, "/", asks=False, headers={}, plan=plan, random=Random(1))
        work = asyncio.ensure_future(KINDS[kind](crowd))
        await until(lambda: crowd.tally.failed >= 3)
        work.cancel()

    run(scenario)
