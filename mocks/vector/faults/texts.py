"""The text that a point carries, wherever its product and client library keep it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mocks.vector.plan import Hit

TEXT_KEYS = ("text", "page_content", "content", "document", "chunk", "body")
"""Keys of a payload that hold a point's text; the first that is there does. `page_content` is LangChain's."""
_NODE = "_node_content"  # LlamaIndex keeps its node as JSON text under this key


def edited(hit: Hit, edit: Callable[[str], str]) -> Hit:
    """The point with its text edited; the very same where it has none, or `edit` leaves it as it is."""
    if hit.document is not None:
        text = edit(hit.document)
        return hit if text == hit.document else replace(hit, document=text)
    payload = hit.payload or {}
    for key in TEXT_KEYS:
        if isinstance(payload.get(key), str):
            text = edit(payload[key])
            return hit if text == payload[key] else replace(hit, payload={**payload, key: text})
    node = _node(payload.get(_NODE))
    if node is None:
        return hit
    text = edit(node["text"])
    return hit if text == node["text"] else replace(hit, payload={**payload, _NODE: json.dumps({**node, "text": text})})


def _node(value: Any) -> dict[str, Any] | None:
    """LlamaIndex's node, if it is one with a text."""
    if not isinstance(value, str):
        return None
    try:
        node = json.loads(value)
    except ValueError:
        return None
    return node if isinstance(node, dict) and isinstance(node.get("text"), str) else None
