"""The stack that `gauntlet up` started, as a STACK.yaml: where its services are, and how each is asked whether it is well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.stack.base import Stack
from harness.stack.reference import ReferenceStack
from harness.stack.topology import CHAT_MODEL

_DIMENSIONS = 384
_PATIENCE = {"timeout": "15s", "slow": "2s"}
"""The whole stack shares this machine with whatever else runs there."""
_ASKED: Mapping[str, Mapping[str, Any]] = {
    "gateway": {"path": "/api/health"},
    "query": {"path": "/ready"},
    "document": {"path": "/ready"},
    "user": {"path": "/ready"},
    "embedding": {"path": "/embed", "body": {"texts": ["ping"]}, "contains": "embeddings"},
    "retrieval": {"path": "/retrieve", "body": {"text": "ping", "embedding": [0.05] * _DIMENSIONS, "top_k": 1}, "contains": "results"},
    "generation": {
        "path": "/generate",
        "body": {"question": "ping", "contexts": [{"doc_id": "ping", "text": "pong"}], "stream": False},
        "contains": "answer",
    },
}
"""Of the reference stack: what each service is there for, done once."""


def document(stack: Stack) -> dict[str, Any]:
    """Holds the provider's key where the stack has one: to be kept where only its owner reads it."""
    described = dict(stack.targets())
    services = {name: dict(service) for name, service in described["services"].items()}
    if isinstance(stack, ReferenceStack):
        for name, service in services.items():
            service["health"] = {**_PATIENCE, **_ASKED.get(name, {})}
            if service["kind"] == "llm":
                service["health"] |= {"models": [CHAT_MODEL], "headers": {"authorization": f"Bearer {stack.provider_key}"}}
    return {**described, "name": "standing", "services": services}
