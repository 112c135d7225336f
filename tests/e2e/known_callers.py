"""Clients of an LLM provider with known manners: one that behaves, and one for each way to misbehave, in which nothing else is wrong."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PAUSE_S = 0.15
"""Of the first repetition; it doubles from one to the next."""
HANG_S = 5.0
"""How long the one without a read timeout waits."""
GRADED_TIMEOUT_S = 2.5
"""The read timeout that the report asks for: between that and the others'."""

_FAULTS = {
    "told": {"type": "overloaded", "retry_after_ms": 1500, "first": 1},
    "spent": {"type": "insufficient_quota", "first": 1},
    "failing": {"type": "server_error", "first": 2},
    "persisting": {"type": "server_error", "first": 8},
    "failing long": {"type": "server_error", "first": 11},
    "truncated": {"type": "stream_no_finish", "first": 1},
    "malformed": {"type": "stream_bad_json", "first": 1},
    "hanging": {"type": "connection_hang", "first": 1},
}
FAULTS = [{"id": name.replace(" ", "-"), "count": "request", "match": {"prompt": f"[{name}]"}, **fault} for name, fault in _FAULTS.items()]
"""Each hits the first attempts of every request whose prompt has its name in brackets."""
STREAMED = frozenset({"truncated", "malformed"})
COMMON = ("healthy", "told", "spent", "failing", "truncated", "malformed", "hanging")


class _FailedError(Exception):
    """An attempt failed. `final`: repeating it cannot help; `wait_s` is what the provider asked for."""

    def __init__(self, kind: str, *, final: bool = False, wait_s: float | None = None) -> None:
        super().__init__(kind)
        self.final = final
        self.wait_s = wait_s


@dataclass
class Caller:
    """A client. The defaults behave; each test changes one."""

    name: str
    prompts: tuple[str, ...] = COMMON
    attempts: int = 4
    layers: int = 1
    pause_s: float = PAUSE_S
    growth: float = 2.0
    read_timeout_s: float = 0.8
    keeps_retry_after: bool = True
    repeats_final: bool = False
    wants_finish: bool = True
    wants_json: bool = True
    _count: int = field(default=0, init=False)

    def call_all(self, port: int) -> None:
        """One call for each prompt, one after the other."""
        for number, prompt in enumerate(self.prompts):
            text = f"[{prompt}] asks {self.name} for the {number}th time"
            for layer in range(self.layers):
                if self._call(port, text, prompt in STREAMED, last=layer == self.layers - 1):
                    break

    def _call(self, port: int, text: str, stream: bool, *, last: bool) -> bool:
        pause_s = self.pause_s
        for attempt in range(self.attempts):
            try:
                self._attempt(port, text, stream, attempt)
                return True
            except _FailedError as failed:
                if (failed.final and not self.repeats_final) or (attempt == self.attempts - 1 and last):
                    return True
                told_s = failed.wait_s if self.keeps_retry_after else None
                time.sleep(pause_s if told_s is None else told_s)
                pause_s *= self.growth
        return False

    def _attempt(self, port: int, text: str, stream: bool, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=self.read_timeout_s)
        body = {"model": "rag-chat", "stream": stream, "messages": [{"role": "user", "content": text}]}
        headers = {"content-type": "application/json", "user-agent": self.name, "x-stainless-retry-count": str(number)}
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise _FailedError(type(error).__name__) from error
        finally:
            connection.close()
        if response.status != 200:
            raise self._refused(response.status, response.headers, answer)
        if stream:
            self._check(answer.decode())

    def _refused(self, status: int, headers: http.client.HTTPMessage, text: bytes) -> _FailedError:
        code = json.loads(text)["error"].get("code")
        told_ms = headers.get("retry-after-ms")
        final = code == "insufficient_quota" or (status < 500 and status not in (408, 409, 429))
        return _FailedError(str(status), final=final, wait_s=None if told_ms is None else float(told_ms) / 1000.0)

    def _check(self, text: str) -> None:
        finished = False
        for line in text.splitlines():
            data = line.removeprefix("data: ")
            if data == line or data == "[DONE]":
                continue
            finished |= self._finish_reason(data) is not None
        if not finished and self.wants_finish:
            raise _FailedError("truncated")

    def _finish_reason(self, data: str) -> Any:
        try:
            event = json.loads(data)
        except ValueError:
            if self.wants_json:
                raise _FailedError("malformed") from None
            return None
        return event["choices"][0].get("finish_reason") if event.get("choices") else None


CALLERS: Mapping[str, Caller] = {
    code or "none": caller
    for code, caller in (
        (None, Caller("well-behaved/1")),
        ("retry_after_ignored", Caller("hasty/1", keeps_retry_after=False)),
        ("retried_non_retryable", Caller("stubborn/1", repeats_final=True)),
        ("retry_storm", Caller("storming/1", prompts=("failing long",), attempts=12, growth=1.0)),
        ("no_backoff", Caller("breathless/1", prompts=(*COMMON, *["failing"] * 4), pause_s=0.0)),
        ("gave_up", Caller("faint-hearted/1", prompts=("failing",), attempts=1)),
        ("truncated_stream_accepted", Caller("believing/1", wants_finish=False)),
        ("malformed_chunk_ignored", Caller("lenient/1", wants_json=False)),
        ("no_read_timeout", Caller("patient/1", read_timeout_s=HANG_S)),
        ("retry_amplification", Caller("layered/1", prompts=("persisting",), attempts=3, layers=3, pause_s=0.3, growth=1.0)),
    )
}
"""By the one finding that each deserves."""
