"""How faults of the provider surface in the anthropic package: each case is one logical call.

Every case speaks for a tenant of its own, whom alone its fault concerns, so that many of them run at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from typing import Any

import anthropic
from faulting import Admin, Said, many_at_once, timed
from told import arguments, raised

QUESTION = (
    "[json.dumps] Serialize obj. The release number of json.dumps is ZK-7F3A91 ✓.\n\nQuestion: What is the release number of json.dumps?"
)


def become(asked: dict[str, Any], admin: Admin, name: str, case: dict[str, Any]) -> Said:
    """`hits` is how many requests the server saw."""
    own = {} if case["retries"] is None else {"max_retries": case["retries"]}
    client = anthropic.Anthropic(base_url=asked["url"], api_key=asked["key"], timeout=asked["timeout_s"], **own)
    call = partial({"whole": whole, "events": events, "gathered": gathered}[case["how"]], client, name)
    admin.begin(name, case["fault"], tenants=[name])
    if case["warm"]:
        call()
    said = timed(call, asked["patience_s"])
    hits = admin.hits(name)
    admin.end(name)
    return {**said, "hits": hits}


def options(name: str) -> dict[str, Any]:
    return {
        "model": "rag-chat",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": QUESTION}],
        "metadata": {"user_id": name},
    }


def whole(client: anthropic.Anthropic, name: str) -> Said:
    """One message."""
    try:
        return told(client.messages.create(**options(name)))
    except anthropic.APIStatusError as error:
        return with_response(error)


def events(client: anthropic.Anthropic, name: str) -> Said:
    """A stream, event by event."""
    text, stop_reason, kinds = "", None, []
    try:
        for event in client.messages.create(**options(name), stream=True):
            kinds.append(event.type)
            if event.type == "content_block_delta":
                text += event.delta.text
            elif event.type == "message_delta":
                stop_reason = event.delta.stop_reason
    except Exception as error:  # noqa: BLE001 (what a client raises is what is looked for)
        return {**(with_response(error) if isinstance(error, anthropic.APIStatusError) else raised(error)), "text_read": text}
    return {"text_read": text, "stop_reason": stop_reason, "last": kinds[-1]}


def gathered(client: anthropic.Anthropic, name: str) -> Said:
    """A stream that the package puts together."""
    with client.messages.stream(**options(name)) as stream:
        return told(stream.get_final_message())


def told(message: Any) -> Said:
    if not isinstance(message, anthropic.types.Message):
        return {"type": type(message).__name__}
    return {"type": "Message", "text_read": text_of(message.content or ()), "stop_reason": message.stop_reason}


def text_of(content: Iterable[Any]) -> str:
    return "".join(block.text for block in content if block.type == "text")


def with_response(error: anthropic.APIStatusError) -> Said:
    """The exception with the error's type, and what the headers tell of the limit on requests."""
    body = error.body if isinstance(error.body, dict) else {}
    told = [name for name in ("limit", "remaining", "reset") if f"anthropic-ratelimit-requests-{name}" in error.response.headers]
    return {**raised(error), "type": (body.get("error") or {}).get("type"), "told": told}


def main() -> None:
    asked = arguments()
    print(json.dumps(many_at_once(asked["cases"], partial(become, asked, Admin(asked)))))


if __name__ == "__main__":
    main()
