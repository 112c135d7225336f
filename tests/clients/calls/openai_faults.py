"""How faults of the provider surface in the openai package: each case is one logical call of a client with its default settings.

Every case speaks for a tenant of its own, whom alone its fault concerns, so that many of them run at the same time.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import openai
from faulting import Admin, Said, many_at_once, timed
from told import arguments, raised

QUESTION = (
    "[json.dumps] Serialize obj. The release number of json.dumps is ZK-7F3A91 ✓.\n\nQuestion: What is the release number of json.dumps?"
)
PATIENCE_S = 60.0


def become(asked: dict[str, Any], admin: Admin, name: str, case: dict[str, Any]) -> Said:
    """`hits` is how many requests the server saw."""
    call = partial(_call, asked, name, case)
    admin.begin(name, case["fault"], tenants=[name])
    if case.get("warm"):
        call()
    said = timed(call, PATIENCE_S)
    hits = admin.hits(name)
    admin.end(name)
    return {**said, "hits": hits}


def _call(asked: dict[str, Any], name: str, case: dict[str, Any]) -> Said:
    client = openai.OpenAI(base_url=asked["url"] + "/v1", api_key=asked["key"], timeout=case.get("timeout_s", 2.0))
    if case.get("embedding"):
        found = client.embeddings.create(model="rag-embedding", input=["one", "two"], user=name)
        return {"vectors": len(found.data), "dimensions": len(found.data[0].embedding), "first": str(found.data[0].embedding[0])}
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    if case.get("stream"):
        return _read(client.chat.completions.create(model="rag-chat", messages=messages, user=name, stream=True))
    whole = client.chat.completions.create(model="rag-chat", messages=messages, user=name)
    if isinstance(whole, str):
        return {"type": "str"}
    if whole.choices is None:
        return {"type": type(whole).__name__, "choices": None}
    return {"content": whole.choices[0].message.content, "finish": whole.choices[0].finish_reason, "model": whole.model}


def _read(stream: Any) -> Said:
    text, finish = "", None
    try:
        for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
    except Exception as error:  # noqa: BLE001 (what a client raises is what is looked for)
        return {**raised(error), "content": text}
    return {"content": text, "finish": finish}


def main() -> None:
    asked = arguments()
    print(json.dumps(many_at_once(asked["cases"], partial(become, asked, Admin(asked)))))


if __name__ == "__main__":
    main()
