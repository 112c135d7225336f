"""Whatever is sent, the provider answers in its own shape: never a bug of ours, never silence."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.mocks_llm.served import FACT, FakeReply, Served, chat

PATHS = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/embeddings",
    "/openai/deployments/rag-chat/chat/completions",
    "/openai/deployments/rag-embedding/embeddings",
    "/openai/v1/chat/completions",
    "/openai/v1/responses",
    "/v1/models",
    "/v1/models/x",
    "/nothing",
)
NAMES = st.sampled_from(
    [
        "model",
        "messages",
        "input",
        "stream",
        "stream_options",
        "include_usage",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "stop",
        "n",
        "tools",
        "tool_choice",
        "type",
        "function",
        "name",
        "parameters",
        "role",
        "content",
        "text",
        "response_format",
        "json_schema",
        "schema",
        "system",
        "dimensions",
        "encoding_format",
        "instructions",
    ]
)
VALUES = st.sampled_from(["rag-chat", "rag-embedding", "user", "system", "text", "function", "auto", "json_schema", "base64", FACT])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=6) | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
REQUESTS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("stream", "stop", "n", "tools", "tool_choice", "response_format", "user"), JSON)
)
BODIES = (
    st.dictionaries(NAMES, JSON, max_size=6).map(lambda body: json.dumps(body).encode())
    | REQUESTS.map(lambda change: json.dumps({**chat(max_tokens=9, input="x"), **change}).encode())
    | st.binary(max_size=40)
    | st.just(b"[" * 50_000)
)


def answered(reply: FakeReply, dialect: str) -> None:
    assert reply.ended == "complete"
    if reply.status == 200:
        return
    assert 400 <= reply.status < 500
    document: Any = reply.document
    assert document["error"]["message"]
    assert (document.get("type") == "error") == (dialect == "anthropic")


@settings(deadline=None, max_examples=300)
@given(
    path=st.sampled_from(PATHS),
    method=st.sampled_from(["POST", "POST", "POST", "GET", "PUT", "DELETE", "HEAD"]),
    body=BODIES,
    version=st.booleans(),
)
def test_whatever_is_sent_is_answered(path: str, method: str, body: bytes, version: bool) -> None:
    served = Served(ttft_ms=0, itl_ms=0)
    headers = [("anthropic-version", "2023-06-01")] if version else []
    reply = served.ask(body, path, method=method, headers=headers, query="api-version=2024-10-21")
    served.clock.run()
    answered(reply, served.last()["dialect"])
    assert served.metrics.bugs == 0
    assert served.engine.slots.running == served.metrics.in_progress == 0
