"""One tiny streamed chat request to an LLM provider: the harness's own look at how it answers."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from harness.record.clock import NS_PER_S, Clock
from harness.record.provider import OWN_USER_AGENT

CHAT_PATH = "/v1/chat/completions"
MODELS_PATH = "/v1/models"


class ChatProbeError(OSError):
    """The provider gave no answer that could be judged."""


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """`ttft_s`: seconds to the first chunk with content; None when there was none. `retry_after` as the provider wrote it."""

    status: int
    ttft_s: float | None
    retry_after: str | None = None


class ChatProbe:
    """Asks one provider. `key` is its bearer token, where it wants one."""

    def __init__(self, url: str, clock: Clock, key: str | None = None) -> None:
        self._url: SplitResult = urlsplit(url)
        self._clock = clock
        authorization = {"authorization": f"Bearer {key}"} if key else {}
        self._headers = {"content-type": "application/json", "user-agent": OWN_USER_AGENT, **authorization}
        self._model: str | None = None

    def ask(self, question: str, timeout_s: float) -> ChatAnswer:
        """One answer of one token. Raises ChatProbeError when there is none within the time."""
        connection = self._connect(timeout_s)
        try:
            body = {
                "model": self._model or self._first_model(timeout_s),
                "messages": [{"role": "user", "content": question}],
                "stream": True,
                "max_tokens": 1,
            }
            started_ns = self._clock.now_ns()
            connection.request("POST", self._url.path.rstrip("/") + CHAT_PATH, json.dumps(body), self._headers)
            response = connection.getresponse()
            if response.status != 200:
                response.read()
                return ChatAnswer(response.status, None, response.headers.get("retry-after"))
            first_ns = self._first_content(response)
            return ChatAnswer(200, None if first_ns is None else (first_ns - started_ns) / NS_PER_S)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ChatProbeError(f"{self._url.geturl()}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def _first_content(self, response: http.client.HTTPResponse) -> int | None:
        """When the first chunk with content arrived: a chunk with only a role does not count."""
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            choices = json.loads(line.removeprefix(b"data: ")).get("choices") or [{}]
            if choices[0].get("delta", {}).get("content"):
                first_ns = self._clock.now_ns()
                response.read()  # to its end, so that the provider does not count a client that left
                return first_ns
        return None

    def _first_model(self, timeout_s: float) -> str:
        connection = self._connect(timeout_s)
        try:
            connection.request("GET", self._url.path.rstrip("/") + MODELS_PATH, headers=self._headers)
            response = connection.getresponse()
            document = json.loads(response.read())
            if response.status != 200:
                raise ChatProbeError(f"{MODELS_PATH}: {response.status}")
            self._model = str(document["data"][0]["id"])
            return self._model
        except (KeyError, IndexError, TypeError) as error:
            raise ChatProbeError(f"{MODELS_PATH}: not a list of models") from error
        finally:
            connection.close()

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._url.hostname or "127.0.0.1", self._url.port, timeout=timeout_s)
