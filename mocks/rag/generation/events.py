"""Reading a provider's answers: whole ones, and streams of server-sent events, however their bytes are cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

EVENT_BYTES_MAX = 1_048_576


class UnusableAnswerError(Exception):
    """The provider's answer breaks its protocol, or reports an error in place of content; the text says what."""


@dataclass(frozen=True)
class Usage:
    """Tokens as the provider counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    text: str
    model: str
    finish_reason: str
    usage: Usage


def parse_completion(raw: bytes) -> Answer:
    """A chat completion that is not streamed. Raises UnusableAnswerError."""
    try:
        body = json.loads(raw)
        choice = body["choices"][0]
        text, model, finish_reason = choice["message"]["content"], body["model"], choice["finish_reason"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise UnusableAnswerError(f"no chat completion: {type(error).__name__}: {error}") from error
    if not isinstance(finish_reason, str) or not isinstance(model, str) or not isinstance(text, str | None):
        raise UnusableAnswerError("a chat completion without finish reason, model or text")
    return Answer(text or "", model, finish_reason, _usage(body.get("usage")))


class StreamReader:
    """Takes a stream's bytes and gives its text; afterwards `answer` says whether and how it ended."""

    def __init__(self) -> None:
        self._rest = b""
        self._parts: list[str] = []
        self._model: str | None = None
        self._finish_reason: str | None = None
        self._usage = Usage()

    def feed(self, chunk: bytes) -> str:
        """The text that the complete events of `chunk` add, empty if none does. Raises UnusableAnswerError."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > EVENT_BYTES_MAX:
            raise UnusableAnswerError(f"an event of more than {EVENT_BYTES_MAX} bytes")
        added = "".join(self._text(data) for data in _data(lines))
        if added:
            self._parts.append(added)
        return added

    @property
    def answer(self) -> Answer:
        """The finished answer. Raises UnusableAnswerError where the stream ended without saying that it was finished."""
        if self._finish_reason is None or self._model is None:
            raise UnusableAnswerError("the stream ended without a finish reason")
        return Answer("".join(self._parts), self._model, self._finish_reason, self._usage)

    @property
    def model(self) -> str | None:
        """The model's name once an event has told it."""
        return self._model

    def _text(self, data: bytes) -> str:
        try:
            event = json.loads(data)
            if "error" in event:
                raise UnusableAnswerError(f"the provider reports: {event['error']}")
            self._model = event.get("model") or self._model
            self._usage = _usage(event.get("usage")) if event.get("usage") else self._usage
            choices = event["choices"]
            if not choices:
                return ""
            self._finish_reason = choices[0].get("finish_reason") or self._finish_reason
            return choices[0]["delta"].get("content") or ""
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnusableAnswerError(f"an event that is no chat chunk: {data[:80]!r}") from error


def _data(lines: list[bytes]) -> Iterator[bytes]:
    """The data of the events; comments, other fields and the end mark say nothing about the text."""
    for line in lines:
        if line.startswith(b"data:"):
            data = line[5:].strip()
            if data != b"[DONE]":
                yield data


def _usage(value: Any) -> Usage:
    try:
        return Usage(int(value["prompt_tokens"]), int(value["completion_tokens"]))
    except (KeyError, TypeError, ValueError):
        return Usage()
