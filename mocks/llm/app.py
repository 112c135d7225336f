"""The provider's public face: routes, keys, models, faults, answers."""

import hmac
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping

import numpy as np

from mocks.llm import asgi, wire
from mocks.llm.asgi import ClientGoneError, Receive, Scope, Send
from mocks.llm.chat import ChatSender, complete
from mocks.llm.exchange import Exchange, Ledger
from mocks.llm.fault_table import FaultTable
from mocks.llm.fault_types import CHAT, EMBEDDINGS, Plan
from mocks.llm.hashing import Vector, embed
from mocks.llm.metrics import Metrics
from mocks.llm.pacing import Pacer
from mocks.llm.profile import Profile
from mocks.llm.requests import Body, parse_body, parse_chat, parse_embedding, request_key
from mocks.llm.wire import ProviderError, Usage
from mocks.llm.words import tokens

_MODELS = "/v1/models"
_METHODS = {_MODELS: "GET", CHAT: "POST", EMBEDDINGS: "POST"}
_OPENAI_VERSION = "2020-10-01"

Route = Callable[[Exchange, Receive, Send], Awaitable[None]]


class Provider:
    """The ASGI application of one mock provider."""

    def __init__(self, profile: Profile, faults: FaultTable, ledger: Ledger, metrics: Metrics) -> None:
        self._profile = profile
        self._faults = faults
        self._ledger = ledger
        self._metrics = metrics
        self._created = int(time.time())
        self._numbers = itertools.count(1)
        self._routes: dict[str, Route] = {_MODELS: self._list_models, CHAT: self._chat, EMBEDDINGS: self._embed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever the client sends gets an answer in the provider's shape."""
        path = scope["path"]
        if path in ("/health", "/ready", "/metrics"):
            await self._probe(path, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        route = path if path in self._routes else "unmatched"
        exchange = Exchange.begin(scope["method"], route, headers, f"req_{next(self._numbers):08x}")
        self._metrics.arrived()
        try:
            self._check_route(scope["method"], path)
            self._check_key(headers)
            await self._routes[path](exchange, receive, send)
        except ProviderError as error:
            exchange.status = error.status
            await asgi.reply(send, error.status, error.body(), {**self._headers(exchange), **error.headers})
        except ClientGoneError:
            exchange.ending = "disconnected"
        except Exception:
            exchange.status = exchange.status or 500  # our own bug: the server answers, this only counts it
            raise
        finally:
            self._ledger.finish(exchange)

    async def _probe(self, path: str, send: Send) -> None:
        if path == "/metrics":
            await asgi.reply(send, 200, self._metrics.render(), {}, b"text/plain; version=0.0.4; charset=utf-8")
        else:
            await asgi.reply(send, 200, b'{"status":"ok"}' if path == "/health" else b'{"ready":true,"checks":{}}', {})

    def _check_route(self, method: str, path: str) -> None:
        if path not in _METHODS:
            raise ProviderError(404, f"Invalid URL ({method} {path})")
        if method != _METHODS[path]:
            raise ProviderError(405, f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)")

    def _check_key(self, headers: Mapping[bytes, bytes]) -> None:
        if not self._profile.api_keys:
            return
        scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not key:
            message = (
                "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
                "(i.e. Authorization: Bearer YOUR_KEY)."
            )
            raise ProviderError(401, message)
        if not any(hmac.compare_digest(key, known.encode()) for known in self._profile.api_keys):
            raise ProviderError(401, "Incorrect API key provided.", code="invalid_api_key")

    async def _list_models(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        await asgi.read_body(receive)
        exchange.status = 200
        await asgi.reply(send, 200, wire.encode(wire.models(self._profile.models, self._created)), self._headers(exchange))

    async def _chat(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        body = parse_body(await asgi.read_body(receive))
        request = parse_chat(body)
        exchange.stream = request.stream
        plan = self._plan(exchange, body, request.model)
        answer = complete(request)
        exchange.prompt_tokens = answer.usage.prompt_tokens
        answer_id = f"chatcmpl-{exchange.key}{next(self._numbers):08x}"
        sender = ChatSender(exchange, plan, answer, answer_id, self._profile)
        async with Pacer(receive) as pacer:
            await sender.send(request, pacer, send, {**self._headers(exchange), **plan.headers}, self._metrics)

    async def _embed(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        body = parse_body(await asgi.read_body(receive))
        request = parse_embedding(body, self._profile.embedding_dimensions)
        plan = self._plan(exchange, body, request.model)
        vectors = [self._vector(text, request.dimensions) for text in request.inputs]
        usage = Usage(sum(len(tokens(text)) for text in request.inputs))
        exchange.prompt_tokens = usage.prompt_tokens
        exchange.status = 200
        answer = wire.embeddings(vectors, request.model, usage, as_base64=request.as_base64)
        await asgi.reply(send, 200, answer, {**self._headers(exchange), **plan.headers})

    def _vector(self, text: str, dimensions: int | None) -> Vector:
        """The text's vector; fewer dimensions are its beginning, scaled to length 1 again, as the provider shortens them."""
        vector = embed(text, self._profile.embedding_dimensions)
        if dimensions is None:
            return vector
        short = vector[:dimensions]
        length = float(np.linalg.norm(short))
        return short / np.float32(length) if length > 0 else embed(text, dimensions)

    def _plan(self, exchange: Exchange, body: Body, model: str) -> Plan:
        """How this request will be answered. Raises ProviderError where that is with an error."""
        if model not in self._profile.models:
            message = f"The model `{model}` does not exist or you do not have access to it."
            raise ProviderError(404, message, param="model", code="model_not_found")
        exchange.model = model
        exchange.key = request_key(self._profile.seed, exchange.route, body)
        plan = Plan(model, self._profile.ttft_ms / 1_000, self._profile.itl_ms / 1_000)
        exchange.faults = self._faults.apply(plan, exchange.route, exchange.key)
        if plan.error is not None:
            plan.error.headers = {**plan.headers, **plan.error.headers}
            raise plan.error
        return plan

    def _headers(self, exchange: Exchange) -> dict[str, str]:
        elapsed_ms = int((time.monotonic() - exchange.started_s) * 1_000)
        return {"x-request-id": exchange.request_id, "openai-processing-ms": str(elapsed_ms), "openai-version": _OPENAI_VERSION}
