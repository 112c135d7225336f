"""Chat completions: what is answered, and when each token leaves."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mocks.llm import asgi
from mocks.llm.answers import extractive
from mocks.llm.exchange import Exchange
from mocks.llm.fault_types import Plan
from mocks.llm.metrics import Metrics
from mocks.llm.pacing import Pacer
from mocks.llm.profile import Profile
from mocks.llm.requests import ChatRequest
from mocks.llm.wire import ChunkWriter, Usage, completion
from mocks.llm.words import tokens

_MOST_TOKENS = 60  # of an answer whose request sets no limit


@dataclass(frozen=True)
class Completion:
    """A finished answer, before any of it is sent."""

    tokens: list[str]
    finish_reason: str
    usage: Usage


def complete(request: ChatRequest) -> Completion:
    """The answer to a request: extracted from its prompt, ended by its stop sequences and its token limit."""
    text = extractive.answer(request.prompt, _MOST_TOKENS)
    found = [at for at in (text.find(stop) for stop in request.stop) if at >= 0]
    pieces = tokens(text[: min(found)] if found else text)
    limit = request.max_tokens if request.max_tokens is not None else len(pieces)
    kept = pieces[:limit]
    usage = Usage(len(tokens(request.prompt)), len(kept))
    return Completion(kept, "length" if len(kept) < len(pieces) else "stop", usage)


class ChatSender:
    """Sends one answer by its plan: token i leaves `ttft_s + i * itl_s` after the request arrived, with its chunk's last one."""

    def __init__(self, exchange: Exchange, plan: Plan, answer: Completion, answer_id: str, profile: Profile) -> None:
        self._exchange = exchange
        self._plan = plan
        self._answer = answer
        self._answer_id = answer_id
        self._profile = profile
        self._created = int(time.time())
        self._gaps_s: list[float] = []
        self._wrote_s: float | None = None

    async def send(self, request: ChatRequest, pacer: Pacer, send: asgi.Send, headers: dict[str, str], metrics: Metrics) -> None:
        """Send the answer as the request wants it; where the client goes, stop and note it."""
        started_s = pacer.now() - (time.monotonic() - self._exchange.started_s)
        metrics.generation_begins(request.model)
        try:
            sent = await (self._stream if request.stream else self._whole)(request, pacer, send, headers, started_s)
        finally:
            first_s = self._exchange.first_token_s
            metrics.generation_ends(request.model, None if first_s is None else first_s - self._exchange.started_s, self._gaps_s)
        self._exchange.ending = "complete" if sent else "disconnected"
        self._exchange.finish_reason = self._answer.finish_reason if sent else None

    async def _whole(self, request: ChatRequest, pacer: Pacer, send: asgi.Send, headers: dict[str, str], started_s: float) -> bool:
        count = len(self._answer.tokens)
        if not await pacer.until(started_s + self._plan.ttft_s + max(0, count - 1) * self._plan.itl_s):
            return False
        text = "".join(self._answer.tokens)
        body = completion(
            self._answer_id, self._created, self._profile.named(request.model), text, self._answer.finish_reason, self._answer.usage
        )
        self._exchange.status = 200
        self._exchange.completion_tokens = count
        self._exchange.first_token_s = self._exchange.started_s + self._plan.ttft_s
        await asgi.reply(send, 200, body, headers)
        return True

    async def _stream(self, request: ChatRequest, pacer: Pacer, send: asgi.Send, headers: dict[str, str], started_s: float) -> bool:
        """Headers and the role leave with the first content, so that a client's first byte is its first token."""
        writer = ChunkWriter(self._answer_id, self._created, self._profile.named(request.model), include_usage=request.include_usage)
        count = len(self._answer.tokens)
        first_s = started_s + self._plan.ttft_s
        if not await pacer.until(first_s):
            return False
        self._exchange.status = 200
        await asgi.start(send, 200, b"text/event-stream; charset=utf-8", {"cache-control": "no-cache", **headers})
        position = 0
        pending = writer.role()
        while position < count:
            chunk = 1 if position == 0 else self._profile.tokens_per_chunk
            if not await pacer.until(first_s + (min(count, position + chunk) - 1) * self._plan.itl_s):
                return False
            due = self._due(count, position + chunk, pacer.now() - first_s)
            part = pending + b"".join(writer.token("".join(group)) for group in _groups(self._answer.tokens[position:due], chunk))
            pending, position = b"", due
            if position < count:
                await asgi.write(send, part)
            else:
                pending = part
            self._note_write(position)
        await asgi.write(send, pending + writer.end(self._answer.finish_reason, self._answer.usage), last=True)
        return True

    def _due(self, count: int, least: int, elapsed_s: float) -> int:
        """How many tokens may have left `elapsed_s` after the first was due: `least`, and what a late wake-up has left behind."""
        if self._plan.itl_s <= 0:
            return count
        return min(count, max(least, int(elapsed_s / self._plan.itl_s) + 1))

    def _note_write(self, position: int) -> None:
        now_s = time.monotonic()
        if self._wrote_s is None:
            self._exchange.first_token()
        else:
            self._gaps_s.append(now_s - self._wrote_s)
        self._wrote_s = now_s
        self._exchange.completion_tokens = position


def _groups(pieces: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (pieces[start : start + size] for start in range(0, len(pieces), size))
