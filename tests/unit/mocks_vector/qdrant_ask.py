"""A Qdrant service asked without a network."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from mocks.http.message import Request
from mocks.vector.plan import VectorError, Whole
from mocks.vector.qdrant.service import QdrantService, QdrantSettings
from mocks.vector.store import Limits, Store

DOCS = "/collections/docs"
UUID = "00000000-0000-0000-0000-00000000000a"
JSON = {b"content-type": b"application/json"}


class Qdrant:
    """`ask` gives status and JSON value; what was written is there at once."""

    def __init__(self, settings: QdrantSettings | None = None, limits: Limits | None = None) -> None:
        self.store = Store(limits or Limits())
        self.service = QdrantService(self.store, settings)

    def whole(self, method: str, path: str, body: bytes = b"", headers: dict[bytes, bytes] | None = None) -> Whole:
        raw_path, _, query = path.partition("?")
        request = Request(method, unquote(raw_path), query, JSON if headers is None else headers, body, 1, 1, 0.0, raw_path)
        try:
            outcome = self.service.call(request).perform()
            if outcome.commit is not None:
                outcome.commit()
            return self.service.answer(outcome.body(outcome.lists), outcome.status, 0.25)
        except VectorError as error:
            return self.service.refusal(error, 0.25)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """`body` None sends none."""
        answer = self.whole(method, path, b"" if body is None else json.dumps(body).encode())
        return answer.status, json.loads(answer.body) if answer.content_type == "application/json" else answer.body.decode()

    def good(self, method: str, path: str, body: Any = None) -> Any:
        """The result of what must succeed."""
        status, answer = self.ask(method, path, body)
        assert status == 200, answer
        assert (answer["status"], answer["time"], set(answer)) == ("ok", 0.25, {"result", "status", "time"})
        return answer["result"]

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and message of what must be refused in Qdrant's envelope."""
        status, answer = self.ask(method, path, body)
        assert status >= 400, answer
        assert (answer["time"], set(answer)) == (0.25, {"status", "time"})
        return status, answer["status"]["error"]


def with_five_points() -> Qdrant:
    """A collection `docs` of two numbers under dot product: `n` from 0 to 3, and a point with a UUID."""
    service = Qdrant()
    service.good("PUT", DOCS, {"vectors": {"size": 2, "distance": "Dot"}})
    points = [{"id": n, "vector": [n, 1], "payload": {"n": n, "tags": ["even" if n % 2 == 0 else "odd", "all"]}} for n in range(4)]
    service.good("PUT", f"{DOCS}/points?wait=true", {"points": [*points, {"id": UUID.upper(), "vector": [-1, -1]}]})
    return service
