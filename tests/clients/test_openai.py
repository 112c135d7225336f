"""The openai package against the mock provider: every call that RAG code makes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.conftest import KEY
from tests.clients.environments import call
from tests.integration.llm_process import ANSWER, LlmProcess

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

EXPECTED: dict[str, Any] = {
    "models": ["rag-chat", "rag-embedding"],
    "model": "rag-chat",
    "chat": [ANSWER, "stop", "chat.completion"],
    "usage": True,
    "raw_headers": ["openai-processing-ms", "x-request-id"],
    "max_tokens": ["length", 3],
    "stop": "The release number of json.dumps",
    "n": [0, 1, 2],
    "stream": [ANSWER, ["stop"], [], True, 1],
    "stream_n": [0, 1],
    "embeddings": [384, [0, 1, 2]],
    "embeddings_float_is_base64": True,
    "embeddings_dimensions": 64,
    "embeddings_tokens": [384, 2],
    "embeddings_usage": 2,
    "response": [ANSWER, "completed", True],
    "response_stream": ["response.created", ANSWER, "response.completed", True],
    "response_tool": [["function_call", "get_weather"]],
    "async": [True, 2, 1],
    "azure_chat": ANSWER,
    "azure_stream": ANSWER,
    "azure_embeddings": 384,
}
ERRORS = {
    "unknown_model": ("NotFoundError", "model_not_found"),
    "wrong_key": ("AuthenticationError", "invalid_api_key"),
    "bad_temperature": ("BadRequestError", "integer_above_max_value"),
    "no_messages": ("BadRequestError", "empty_array"),
    "empty_input": ("BadRequestError", "empty_string"),
    "azure_unknown_deployment": ("NotFoundError", "DeploymentNotFound"),
}


@pytest.mark.parametrize("environment", ["current", "previous"])
def test_every_call(environment: str, llm: LlmProcess) -> None:
    found = call(environment, "openai_calls", {"url": llm.url, "key": KEY})
    errors = {name: found.pop(name) for name in ERRORS}
    assert {name: (one["raised"], one["code"]) for name, one in errors.items()} == ERRORS
    person = json.loads(found.pop("json_schema"))
    assert set(person) == {"name", "age"} and isinstance(person["name"], str) and person["age"] >= 0
    name, has_id, arguments, finish = found.pop("stream_tool")
    assert (name, has_id, finish) == ("get_weather", True, "tool_calls") and _weather(arguments)
    kind, name, arguments, finish, content, then = found.pop("tool")
    assert (kind, name, finish, content, then) == ("function", "get_weather", "tool_calls", None, "stop") and _weather(arguments)
    assert found == EXPECTED


def _weather(arguments: str) -> bool:
    """Whether the arguments obey the tool's schema."""
    asked = json.loads(arguments)
    return set(asked) == {"city", "unit"} and isinstance(asked["city"], str) and asked["unit"] in ("c", "f")
