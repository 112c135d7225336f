"""The public interface of a RAG system, as its users know it: search, ask, hand in a document, ask what became of it."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from harness.faults.base import FaultError

TIMEOUT_S = 10.0
USERS_TOP_K = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: Mapping[str, Any]

    @property
    def code(self) -> str:
        """What the error calls itself; empty where there is none."""
        error = self.body.get("error")
        return str(error.get("code", "")) if isinstance(error, Mapping) else ""


class RagApi:
    """Asks at `url`, with a bearer token where there is one."""

    def __init__(self, url: str, api_key: str | None) -> None:
        self._url = urlsplit(url)
        self._headers = {"content-type": "application/json", **({"authorization": f"Bearer {api_key}"} if api_key else {})}
        self._asked = 0

    def search(self, query: str) -> Sequence[Mapping[str, Any]]:
        """The sources found, best first, as users would get them. Raises FaultError.

        Each search asks for another number of sources, and so for what no cache holds; the first USERS_TOP_K are returned.
        """
        self._asked += 1
        answer = self.call("POST", "/api/search", {"query": query, "top_k": USERS_TOP_K + self._asked % 40})
        sources = answer.body.get("sources")
        if answer.status != 200 or not isinstance(sources, list):
            raise FaultError(f"a search was answered with {answer.status} {answer.code}")
        return sources[:USERS_TOP_K]

    def ask(self, question: str) -> str:
        """The answer's text. Raises FaultError."""
        answer = self.call("POST", "/api/ask", {"question": question, "stream": False})
        if answer.status != 200:
            raise FaultError(f"a question was answered with {answer.status} {answer.code}")
        return str(answer.body.get("answer", ""))

    def upload(self, document: Mapping[str, Any]) -> Answer:
        """Hand in a document. Raises FaultError where there is no answer."""
        return self.call("POST", "/api/documents", document)

    def state(self, doc_id: str) -> str | None:
        """`queued`, `spooled`, `indexed` or `dead`; None for a document that is not known. Raises FaultError."""
        answer = self.call("GET", f"/api/documents/{quote(doc_id, safe='')}")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise FaultError(f"the state of a document was answered with {answer.status} {answer.code}")
        return str(answer.body.get("status"))

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """One request on a connection of its own. Raises FaultError."""
        connection = self._connect()
        try:
            connection.request(method, self._url.path.rstrip("/") + path, None if body is None else json.dumps(body), self._headers)
            response = connection.getresponse()
            content = response.read()
            found = json.loads(content) if content else {}
            return Answer(response.status, found if isinstance(found, Mapping) else {})
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise FaultError(f"{method} {path}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        host = self._url.hostname or "127.0.0.1"
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(host, self._url.port, timeout=TIMEOUT_S, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, self._url.port, timeout=TIMEOUT_S)
