"""Answers to calls, as the tests of the dialects need them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

from mocks.llm.answer import Answer, ChatCall, Choice, ToolCall
from mocks.llm.answers.base import completed, prompt_tokens
from mocks.llm.answers.profile import answerer
from mocks.llm.dialects.base import Dialect
from mocks.llm.plan import Frame
from mocks.llm.words import tokens

ECHO = {"strategy": "echo"}


def answered(dialect: Dialect, call: ChatCall, answers: Any = None) -> Answer:
    """The answer to a call; by default the echo of what the user said."""
    choices = answerer(ECHO if answers is None else answers).compose(call, Random(1))
    return completed(f"{dialect.id_prefix}0123", "m-2026-01-01", 1_700_000_000, choices, prompt_tokens(call))


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    name: str | None
    data: Any


def events(frames: Sequence[Frame]) -> list[Event]:
    """The events of a stream; every frame is one."""
    found = []
    for frame in frames:
        text = frame.data.decode()
        assert text.endswith("\n\n"), text
        name = None
        (*fields, data) = text[:-2].split("\n")
        if fields:
            (field,) = fields
            name = field.removeprefix("event: ")
        assert data.startswith("data: "), text
        found.append(Event(name, None if data == "data: [DONE]" else json.loads(data.removeprefix("data: "))))
    return found


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
"""Any text that JSON in UTF-8 can carry."""


@st.composite
def choices(draw: st.DrawFn, most: int = 3) -> tuple[Choice, ...]:
    """Choices of every sort."""

    def one() -> Choice:
        sort = draw(st.sampled_from(["text", "text", "calls", "refusal"]))
        if sort == "calls":
            arguments = draw(st.lists(st.dictionaries(texts, texts, max_size=2), min_size=1, max_size=2))
            calls = [ToolCall(f"call_{i}", f"tool_{i}", json.dumps(one, ensure_ascii=False)) for i, one in enumerate(arguments)]
            return Choice((), "tool_calls", tuple(calls))
        if sort == "refusal":
            return Choice((), refusal=draw(texts.filter(bool)))
        return Choice(tuple(tokens(draw(texts))), draw(st.sampled_from(["stop", "length", "content_filter"])))

    return tuple(one() for _ in range(draw(st.integers(1, most))))
