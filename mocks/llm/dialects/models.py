"""`GET /v1/models` and `GET /v1/models/{model}`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mocks.llm.dialects.base import DialectName, encode

OWNER = "gauntlet"


def model_list(dialect: DialectName, names: Sequence[str], created: int) -> bytes:
    """The models that are served; `created` is in seconds since 1970. Anthropic's is one page of a list, whatever the page's size."""
    if dialect == "anthropic":
        first, last = (names[0], names[-1]) if names else (None, None)
        data = [_anthropic(name, created) for name in names]
        return encode({"data": data, "has_more": False, "first_id": first, "last_id": last})
    return encode({"object": "list", "data": [_openai(name, created) for name in names]})


def model_card(dialect: DialectName, name: str, created: int) -> bytes:
    """One model that is served."""
    return encode(_anthropic(name, created) if dialect == "anthropic" else _openai(name, created))


def _openai(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": OWNER}


def _anthropic(name: str, created: int) -> dict[str, Any]:
    created_at = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": name, "display_name": name, "created_at": created_at, "lifecycle": "active"}
