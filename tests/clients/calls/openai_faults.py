"""How faults of the provider surface in the openai package: each case is one logical call of a client with its default settings.

Every case speaks for a tenant of its own, whom alone its fault concerns, so that all of them run at the same time.
"""

from __future__ import annotations

import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
from told import arguments, raised

QUESTION = (
    "[json.dumps] Serialize obj. The release number of json.dumps is ZK-7F3A91 ✓.\n\nQuestion: What is the release number of json.dumps?"
)


class Case:
    """One fault, one call, what became of it."""

    def __init__(self, asked: dict[str, Any], name: str, case: dict[str, Any]) -> None:
        self._asked = asked
        self._name = name
        self._case = case

    def run(self) -> dict[str, Any]:
        """`hits` is how many requests the server saw."""
        document = {**self._case["fault"], "match": {"tenants": [self._name]}}
        self._admin("PUT", f"/faults/{self._name}", document)
        if self._case.get("warm"):
            self._call()
        started_s = time.monotonic()
        try:
            said = self._call()
        except Exception as error:  # noqa: BLE001 (what a client raises is what is looked for)
            said = raised(error)
        took_s = time.monotonic() - started_s
        views = {view["id"]: view for view in self._admin("GET", "/faults")["faults"]}
        self._admin("DELETE", f"/faults/{self._name}")
        return {**said, "hits": views[self._name]["matched"], "took_s": took_s}

    def _call(self) -> dict[str, Any]:
        client = openai.OpenAI(base_url=self._asked["url"] + "/v1", api_key=self._asked["key"], timeout=self._case.get("timeout_s", 2.0))
        if self._case.get("embedding"):
            found = client.embeddings.create(model="rag-embedding", input=["one", "two"], user=self._name)
            return {"vectors": len(found.data), "dimensions": len(found.data[0].embedding), "first": str(found.data[0].embedding[0])}
        messages: list[Any] = [{"role": "user", "content": QUESTION}]
        if not self._case.get("stream"):
            whole = client.chat.completions.create(model="rag-chat", messages=messages, user=self._name)
            if isinstance(whole, str):
                return {"type": "str"}
            if whole.choices is None:
                return {"type": type(whole).__name__, "choices": None}
            return {"content": whole.choices[0].message.content, "finish": whole.choices[0].finish_reason, "model": whole.model}
        return self._read(client.chat.completions.create(model="rag-chat", messages=messages, user=self._name, stream=True))

    def _read(self, stream: Any) -> dict[str, Any]:
        text, finish = "", None
        try:
            for chunk in stream:
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    finish = choice.finish_reason or finish
        except Exception as error:  # noqa: BLE001 (likewise)
            return {**raised(error), "content": text}
        return {"content": text, "finish": finish}

    def _admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"authorization": f"Bearer {self._asked['token']}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(
            urllib.request.Request(self._asked["admin"] + path, data, headers, method=method), timeout=10
        ) as answer:
            raw = answer.read()
        return json.loads(raw) if raw else None


def main() -> None:
    asked = arguments()
    cases = {name: Case(asked, name, case) for name, case in asked["cases"].items()}
    with ThreadPoolExecutor(len(cases)) as pool:
        found = dict(zip(cases, pool.map(Case.run, cases.values()), strict=True))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
