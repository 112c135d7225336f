"""The service: one route, whole answers and streams."""

from __future__ import annotations

import json
import os
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mocks.rag.common.app import json_object
from mocks.rag.common.attention import event_stream, while_connected
from mocks.rag.common.build import Build
from mocks.rag.common.config import ServiceConfig
from mocks.rag.common.metrics import DEGRADED
from mocks.rag.common.providers import provider_app
from mocks.rag.common.registry import PROVIDERS, Registry
from mocks.rag.generation.events import Answer
from mocks.rag.generation.failover import Failover, Served
from mocks.rag.generation.prompt import Asked, Message, citations, messages
from mocks.rag.generation.provider import Provider, ProviderFailureError

DEFAULT_MODEL = "rag-chat"

Pieces = AsyncGenerator[str | Answer, None]


class Generating:
    """Answers questions through whichever provider the failover finds."""

    def __init__(self, failover: Failover, *, from_last: bool = False) -> None:
        self._failover = failover
        self._from_last = from_last

    async def answer(self, asked: Asked) -> dict[str, Any]:
        """The body of a JSON answer. Raises UpstreamError."""
        prompt = self._prompt(asked)
        served = await self._failover.first(lambda provider: provider.complete(prompt))
        _count_degraded(served)
        return {"answer": served.value.text, **_ending(asked, served, served.value)}

    async def stream(self, asked: Asked) -> AsyncGenerator[bytes, None]:
        """Frames of the answer. Until the first token a failure goes to the next provider; after it, to the client as a frame.

        Raises UpstreamError at the first `anext` where no provider has a first token.
        """
        prompt = self._prompt(asked)
        served = await self._failover.first(lambda provider: _open(provider.stream(prompt)))
        _count_degraded(served)
        piece, rest = served.value
        async with aclosing(rest):
            while isinstance(piece, str):
                yield _frame({"delta": piece})
                try:
                    piece = await anext(rest)
                except ProviderFailureError as failure:
                    yield _frame({"error": {"message": str(failure), "code": f"{failure.provider}_{failure.outcome}"}})
                    return
            yield _frame({"done": True, **_ending(asked, served, piece)}) + b"data: [DONE]\n\n"

    def _prompt(self, asked: Asked) -> list[Message]:
        """A build that answers from the last context alone, the least similar one, is wrong in a way that only its answers show."""
        return messages(replace(asked, contexts=asked.contexts[-1:]) if self._from_last else asked)


async def _open(pieces: Pieces) -> tuple[str | Answer, Pieces]:
    """Wait for the first piece; what fails until then has not been seen by any client."""
    try:
        return await anext(pieces), pieces
    except BaseException:
        await pieces.aclose()
        raise


def _count_degraded(served: Served[Any]) -> None:
    for reason in served.degraded_reasons:
        DEGRADED.labels(reason).inc()


def _ending(asked: Asked, served: Served[Any], answer: Answer) -> dict[str, Any]:
    """What an answer says about itself, beside its text."""
    return {
        "citations": citations(answer.text, asked.contexts),
        "model": answer.model,
        "provider": served.provider,
        "degraded": bool(served.degraded_reasons),
        "degraded_reasons": served.degraded_reasons,
        "finish_reason": answer.finish_reason,
        "attempts": served.attempts,
        "usage": vars(answer.usage),
    }


def _frame(payload: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload, separators=(",", ":")).encode() + b"\n\n"


def build(config: ServiceConfig, env: Mapping[str, str] = os.environ) -> Starlette:
    """The application; `LLM_API_KEY` and `LLM_MODEL` come from `env`."""
    registry = Registry(config.registry_file, config.service)
    providers = [Provider(name, registry, env.get("LLM_MODEL") or DEFAULT_MODEL, env.get("LLM_API_KEY")) for name in PROVIDERS]
    generating = Generating(Failover(providers, registry, random.Random()), from_last=Build.from_env(env).answers_from_last)

    async def generate(request: Request) -> Response:
        asked = Asked.from_body(await json_object(request))
        if not asked.stream:
            return JSONResponse(await while_connected(request.receive, generating.answer(asked)))
        return await event_stream(request, generating.stream(asked))

    return provider_app(config, [Route("/generate", generate, methods=["POST"])], registry, providers)
