"""The provider's public face: which path is answered by what, in which provider's words."""

import itertools
import time
from collections.abc import Callable
from functools import partial

import orjson

from mocks.common.key import request_key
from mocks.common.latency import Drawn
from mocks.http.message import Reply, Request
from mocks.http.router import Match, NotAllowed, Router
from mocks.llm.answer import EMBEDDINGS, MESSAGES
from mocks.llm.answers.base import prompt_tokens
from mocks.llm.at_once import answered_at_once, embedded_at_once
from mocks.llm.dialects.anthropic import AnthropicMessages, check_version, parse_count, token_count
from mocks.llm.dialects.azure import AzureChat, check_api_version
from mocks.llm.dialects.base import Dialect, DialectName, parse_json
from mocks.llm.dialects.errors import unknown_model
from mocks.llm.dialects.models import model_card, model_list
from mocks.llm.dialects.openai_chat import OpenAIChat
from mocks.llm.dialects.openai_responses import OpenAIResponses
from mocks.llm.embedding import Embedding
from mocks.llm.engine import Engine
from mocks.llm.errors import ProviderError
from mocks.llm.exposition import CONTENT_TYPE
from mocks.llm.generation import Generation
from mocks.llm.openapi import describe
from mocks.llm.plan import Facts, Whole
from mocks.llm.serving import Serving

MOST_BODY_BYTES = 8 * 1024 * 1024
_MODELS = "/v1/models"
_COUNT = f"{MESSAGES}/count_tokens"
_DEPLOYMENT = "/openai/deployments/{deployment}"
_UNMATCHED = "unmatched"
_HEALTHY = b'{"status":"ok"}'
_READY = b'{"ready":true,"checks":{}}'

_Target = Callable[..., None]


class Provider:
    """The handler of one mock provider's port. Whatever the client sends is answered in the shape of the provider that it talks to."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._created = int(time.time())
        self._numbers = itertools.count(1)
        self._router = Router()
        self._direct: dict[tuple[str, str], _Target] = {}
        for method, path, target in self._routes():
            self._router.add(method, path, target)
            if "{" not in path:
                self._direct[method, path] = target

    def __call__(self, request: Request, reply: Reply) -> None:
        """Answer one request."""
        direct = self._direct.get((request.method, request.raw_path))
        if direct is not None:
            direct(request, reply)
            return
        found = self._router.find(request.method, request.raw_path)
        if isinstance(found, Match):
            found.target(request, reply, *found.parts)
            return
        dialect = _dialect_of(request)
        serving = Serving(self._engine, request, reply, _UNMATCHED, dialect, self._next_id())
        if isinstance(found, NotAllowed):
            serving.refuse(_not_allowed(request, dialect, found.allowed))
        else:
            serving.refuse(_not_found(request, dialect))

    def _routes(self) -> list[tuple[str, str, _Target]]:
        chat, responses = AzureChat(), OpenAIResponses("azure")
        generations: list[tuple[str, Dialect]] = [
            *((dialect.route, dialect) for dialect in (OpenAIChat(), OpenAIResponses(), AnthropicMessages())),
            (f"{_DEPLOYMENT}/chat/completions", chat),
            ("/openai/v1/chat/completions", chat),
            ("/openai/v1/responses", responses),
            ("/openai/responses", responses),
        ]
        embeddings: list[tuple[str, DialectName]] = [
            (EMBEDDINGS, "openai"),
            (f"{_DEPLOYMENT}/embeddings", "azure"),
            ("/openai/v1/embeddings", "azure"),
        ]
        models = (_MODELS, f"{_MODELS}/{{model}}", "/openai/v1/models", "/openai/v1/models/{model}", "/openai/models")
        return [
            ("GET", "/health", partial(_probe, _HEALTHY)),
            ("GET", "/ready", partial(_probe, _READY)),
            ("GET", "/metrics", self._metrics),
            ("GET", "/openapi.json", self._describe),
            ("POST", _COUNT, self._count),
            *(("GET", path, self._models) for path in models),
            *(("POST", path, partial(self._generate, dialect)) for path, dialect in generations),
            *(("POST", path, partial(self._embed, dialect)) for path, dialect in embeddings),
        ]

    def _generate(self, dialect: Dialect, request: Request, reply: Reply, deployment: str | None = None) -> None:
        fallback_id, engine = self._next_id(), self._engine
        if engine.unhindered and dialect.name == "openai" and answered_at_once(engine, dialect, request, reply, fallback_id):
            return
        serving = Generation(engine, request, reply, dialect, fallback_id)
        serving.guarded(_begin_generation, serving, deployment)

    def _embed(self, dialect: DialectName, request: Request, reply: Reply, deployment: str | None = None) -> None:
        fallback_id, engine = self._next_id(), self._engine
        if engine.unhindered and dialect == "openai" and embedded_at_once(engine, request, reply, fallback_id):
            return
        serving = Embedding(engine, request, reply, EMBEDDINGS, dialect, fallback_id)
        serving.guarded(_begin_embedding, serving, deployment)

    def _count(self, request: Request, reply: Reply) -> None:
        serving = Serving(self._engine, request, reply, _COUNT, "anthropic", self._next_id())

        def answer() -> None:
            _admit(serving)
            _check_body(request)
            body = parse_json(request.body)
            call = parse_count(body)
            serving.note(call.model, self._engine.key_of("anthropic", _COUNT, body, call.model))
            serving.send(Whole(token_count(prompt_tokens(call))))

        serving.guarded(answer)

    def _models(self, request: Request, reply: Reply, model: str | None = None) -> None:
        serving = Serving(self._engine, request, reply, _MODELS, _dialect_of(request), self._next_id())
        serving.guarded(partial(self._show_models, serving, model))

    def _show_models(self, serving: Serving, model: str | None) -> None:
        _admit(serving)
        entry, profile = serving.entry, self._engine.profile
        served = profile.models
        if model is not None and model not in served:
            raise _no_model(entry.dialect, model)
        key = request_key(profile.seed, _MODELS, {"model": model})
        serving.note(model, key)
        plan = serving.decide(Facts(_MODELS, entry.dialect, model or "", key), Drawn(0.0, 0.0))
        if plan is None:
            return
        shown = model_list(entry.dialect, served, self._created) if model is None else model_card(entry.dialect, model, self._created)
        whole = Whole(shown)
        for edit in plan.whole_edits:
            whole = edit(whole)
        serving.settle_faults(plan)
        serving.when(plan.due_s(1), partial(serving.send, whole))

    def _describe(self, _request: Request, reply: Reply) -> None:
        profile = self._engine.profile
        reply.send(200, orjson.dumps(describe(profile.models, profile.embedding_dimensions, keys=bool(profile.accounts))), {})

    def _metrics(self, _request: Request, reply: Reply) -> None:
        reply.send(200, self._engine.ledger.metrics.render(), {}, CONTENT_TYPE)

    def _next_id(self) -> str:
        return f"req_{next(self._numbers):08x}"


def _probe(body: bytes, _request: Request, reply: Reply) -> None:
    reply.send(200, body, {})


def _begin_generation(serving: Generation, deployment: str | None) -> None:
    _admit(serving)
    _check_body(serving.request)
    serving.understand(deployment)
    serving.begin()


def _begin_embedding(serving: Embedding, deployment: str | None) -> None:
    _admit(serving)
    _check_body(serving.request)
    serving.begin(deployment)


def _admit(serving: Serving) -> None:
    """Who asks, and by which version of the API, where the provider wants one to be named. Raises ProviderError."""
    serving.identify()
    request = serving.request
    if serving.entry.dialect == "anthropic":
        check_version(request.header("anthropic-version"))
    elif serving.entry.dialect == "azure" and not request.path.startswith("/openai/v1/"):
        check_api_version(request.parameters())


def _check_body(request: Request) -> None:
    """Size and type of a body. Raises ProviderError 400 and 413."""
    if len(request.body) > MOST_BODY_BYTES:
        raise ProviderError(413, f"The request body has more than {MOST_BODY_BYTES} bytes.")
    kind = request.headers.get(b"content-type")
    if kind is not None and kind != b"application/json" and kind.partition(b";")[0].strip().lower() != b"application/json":
        text = kind.decode("latin-1")
        message = (
            f"Unsupported content type: '{text}'. This API method only accepts 'application/json' requests, but you specified the header "
            f"'Content-Type: {text}'. Please try again with a supported content type."
        )
        raise ProviderError(400, message, code="unsupported_content_type")


def _dialect_of(request: Request) -> DialectName:
    """Whose words a client expects on a path that nobody serves, or that two providers share."""
    if request.path.startswith("/openai/"):
        return "azure"
    of_anthropic = request.path == MESSAGES or request.path.startswith(f"{MESSAGES}/") or b"anthropic-version" in request.headers
    return "anthropic" if of_anthropic else "openai"


def _no_model(dialect: DialectName, model: str) -> ProviderError:
    """OpenAI's list of models speaks of one that is not served in other words than its other routes."""
    if dialect == "anthropic":
        return unknown_model(dialect, model)
    return ProviderError(404, f"The model '{model}' does not exist", param="model", code="model_not_found")


def _not_found(request: Request, dialect: DialectName) -> ProviderError:
    if dialect == "azure":
        return ProviderError(404, "Resource not found")
    return ProviderError(404, "Not Found" if dialect == "anthropic" else f"Invalid URL ({request.method} {request.path})")


def _not_allowed(request: Request, dialect: DialectName, allowed: tuple[str, ...]) -> ProviderError:
    message = "Method Not Allowed"
    if dialect == "openai":
        message = f"Not allowed to {request.method} on {request.path}. (HINT: Perhaps you meant to use a different HTTP method?)"
    return ProviderError(405, message, headers={"allow": ", ".join(allowed)})
