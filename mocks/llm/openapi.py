"""The public API in OpenAPI 3.1. Requests are described by the very kinds that check them (`dialects.kinds`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from mocks.llm.answer import CHAT, EMBEDDINGS, MESSAGES, RESPONSES
from mocks.llm.dialects import anthropic, openai_chat, openai_embeddings, openai_responses
from mocks.llm.dialects.compounds import Fields
from mocks.llm.dialects.kinds import Kind, OneOf, Whole
from mocks.llm.openapi_schemas import SCHEMAS, Schema, ref

_ERRORS = {
    "400": "The request is malformed, or refused",
    "401": "No key, or an unknown one",
    "403": "The key may not do that",
    "404": "There is no such model or resource",
    "413": "The request is too large",
    "429": "A quota is used up; where waiting helps, the headers say how long",
    "default": "Any other error of the provider",
}
_DEPLOYMENT = "/openai/deployments/{deployment}"
_AZURE_V1 = "/openai/v1"
_API_VERSION: Schema = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$"}
_ANTHROPIC_VERSION: Schema = {"type": "string", "pattern": "^20[0-9]{2}-[0-9]{2}-[0-9]{2}$"}
_SECURITY = {
    "openai": ("bearer", {"type": "http", "scheme": "bearer"}),
    "azure": ("apiKey", {"type": "apiKey", "in": "header", "name": "api-key"}),
    "anthropic": ("xApiKey", {"type": "apiKey", "in": "header", "name": "x-api-key"}),
}


def describe(models: Sequence[str], most_dimensions: int, *, keys: bool) -> dict[str, Any]:
    """The OpenAPI document of a provider that serves these models, with vectors of so many dimensions; `keys`: whether it wants one."""
    chat = _body(openai_chat.PARAMETERS, openai_chat.REQUIRED, models)
    responses = _body(openai_responses.PARAMETERS, openai_responses.REQUIRED, models)
    vectors = {**openai_embeddings.PARAMETERS, "dimensions": Whole(1, most_dimensions)}
    embeddings = _body(vectors, openai_embeddings.REQUIRED, models)
    deployment = _path("deployment", models)
    version = {"name": "api-version", "in": "query", "required": True, "schema": _API_VERSION}
    paths = {
        "/v1/models": {"get": _operation("openai", "Models")},
        "/v1/models/{model}": {"get": _operation("openai", "Model", parameters=[_path("model", models)])},
        CHAT: {"post": _operation("openai", "ChatCompletion", chat, stream=True)},
        RESPONSES: {"post": _operation("openai", "Response", responses, stream=True)},
        EMBEDDINGS: {"post": _operation("openai", "Embeddings", embeddings)},
        **_anthropic(models),
        f"{_DEPLOYMENT}/chat/completions": {
            "post": _operation("azure", "AzureChatCompletion", _of_deployment(chat), [deployment, version], stream=True)
        },
        f"{_DEPLOYMENT}/embeddings": {"post": _operation("azure", "Embeddings", _of_deployment(embeddings), [deployment, version])},
        f"{_AZURE_V1}/chat/completions": {"post": _operation("azure", "AzureChatCompletion", chat, stream=True)},
        f"{_AZURE_V1}/responses": {"post": _operation("azure", "Response", responses, stream=True)},
        f"{_AZURE_V1}/embeddings": {"post": _operation("azure", "Embeddings", embeddings)},
        "/health": {"get": _probe("Health")},
        "/ready": {"get": _probe("Readiness")},
        "/metrics": {"get": {"responses": {"200": {"description": "Prometheus metrics", "content": {"text/plain": {"schema": {}}}}}}},
    }
    if keys:
        paths = {path: {method: _with_key(operation) for method, operation in methods.items()} for path, methods in paths.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Mock LLM provider", "version": "1", "description": "OpenAI's, Azure OpenAI's and Anthropic's APIs."},
        "paths": paths,
        "components": {"schemas": dict(SCHEMAS), "securitySchemes": dict(_SECURITY.values())},
    }


def _anthropic(models: Sequence[str]) -> dict[str, Any]:
    message = _body(anthropic.PARAMETERS, anthropic.REQUIRED, models)
    count = _body(anthropic.COUNTED, anthropic.COUNTED_REQUIRED, models)
    version = {"name": "anthropic-version", "in": "header", "required": True, "schema": _ANTHROPIC_VERSION}
    return {
        MESSAGES: {"post": _operation("anthropic", "Message", message, [version], stream=True)},
        f"{MESSAGES}/count_tokens": {"post": _operation("anthropic", "TokenCount", count, [version])},
    }


def _body(parameters: Mapping[str, Kind], required: tuple[str, ...], models: Sequence[str]) -> Schema:
    """The schema of a request; the models are those that are served."""
    return Fields({**parameters, "model": OneOf(tuple(models))}, required).schema()


def _of_deployment(schema: Schema) -> Schema:
    """The path names the model; what the body says of it is let be."""
    properties = {**schema["properties"], "model": {}}
    return schema | {"properties": properties, "required": [name for name in schema["required"] if name != "model"]}


def _path(name: str, models: Sequence[str]) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "enum": list(models)}}


def _operation(
    dialect: str, answer: str, body: Schema | None = None, parameters: Sequence[Schema] = (), *, stream: bool = False
) -> dict[str, Any]:
    """What one path takes and gives in one provider's words."""
    content: dict[str, Any] = {"application/json": {"schema": ref(answer)}}
    if stream:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    error = {"application/json": {"schema": ref({"openai": "OpenAIError", "azure": "AzureError", "anthropic": "AnthropicError"}[dialect])}}
    responses = {status: {"description": description, "content": error} for status, description in _ERRORS.items()}
    operation: dict[str, Any] = {"tags": [dialect], "responses": {"200": {"description": "The answer", "content": content}, **responses}}
    if parameters:
        operation["parameters"] = list(parameters)
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _probe(answer: str) -> dict[str, Any]:
    return {"responses": {"200": {"description": "It is", "content": {"application/json": {"schema": ref(answer)}}}}}


def _with_key(operation: Mapping[str, Any]) -> dict[str, Any]:
    """The operation, which its provider's key opens; Azure takes a bearer token as well. Probes need none."""
    tags: Sequence[str] = operation.get("tags", ())
    names = [_SECURITY[tag][0] for tag in tags] + ["bearer" for tag in tags if tag == "azure"]
    return {**operation, **({"security": [{name: []} for name in names]} if names else {})}
