"""From what a strategy writes to what is sent: calls of tools, JSON, stop sequences and token limits, the same for every strategy."""

from collections.abc import Sequence
from random import Random
from typing import Protocol

from mocks.common.value import value
from mocks.llm.answer import Answer, ChatCall, Choice, ToolCall, Usage
from mocks.llm.answers import json_format, tools
from mocks.llm.words import tokens

MOST_TOKENS = 4_096
"""The model's own limit: no choice is longer."""


@value
class Draft:
    """What a strategy wants to say in one choice: text, or calls of tools, or a refusal.

    `pieces` are the tokens of the text, where they are known; then they stand in the place of `text`. `settled`: where the choice is left
    to the model, it says so rather than call a tool.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None
    pieces: tuple[str, ...] | None = None
    settled: bool = False


@value
class Task:
    """One choice to write: number `number` (from 0) of the answer to a call."""

    call: ChatCall
    number: int
    rng: Random


class Writer(Protocol):
    """A strategy."""

    def write(self, task: Task) -> Draft:
        """What one choice says. Equal calls and equally seeded generators get equal drafts."""


class Answerer(Protocol):
    """Answers calls."""

    def compose(self, call: ChatCall, rng: Random) -> tuple[Choice, ...]:
        """The `call.n` choices. Depends on the call and the generator's seed alone."""


class Composer:
    """The Answerer that finishes what a strategy writes."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def compose(self, call: ChatCall, rng: Random) -> tuple[Choice, ...]:
        """The `call.n` choices."""
        if call.n == 1:
            return (self._choice(call, 0, rng),)
        return tuple([self._choice(call, index, rng) for index in range(call.n)])

    def _choice(self, call: ChatCall, index: int, rng: Random) -> Choice:
        draft = self._writer.write(Task(call, index, rng))
        if draft.calls or call.tools:
            calls = draft.calls or _calls(draft, call, rng)
            if calls:
                return _calling(calls if call.parallel_tools else calls[:1], _limit(call))
        if draft.refusal is not None:
            return _refusing(draft.refusal, _limit(call))
        if call.json_schema is not None:
            return cut(json_format.as_json(_text(draft), call.json_schema, rng), call)
        if draft.pieces is not None and not call.stop:
            return _within_limit(draft.pieces, None, call)
        return cut(_text(draft), call)


def cut(text: str, call: ChatCall) -> Choice:
    """The text up to the first of the call's stop sequences, and no longer than its token limit."""
    stopped_by = None
    if call.stop:
        found = [(at, len(stop), stop) for stop in call.stop if (at := text.find(stop)) >= 0]
        if found:
            at, _, stopped_by = min(found)
            text = text[:at]
    return _within_limit(tuple(tokens(text)), stopped_by, call)


def prompt_tokens(call: ChatCall) -> int:
    """Tokens of the prompt: the text of its turns, and what else the dialect counted."""
    return len(tokens(call.prompt)) + call.other_tokens


def length(choice: Choice) -> int:
    """How many tokens a choice takes to generate: those of its text, of its refusal, or of its calls' arguments."""
    if choice.tool_calls:
        return sum(len(tokens(call.arguments)) for call in choice.tool_calls)
    return len(choice.tokens) if choice.refusal is None else len(tokens(choice.refusal))


def completed(answer_id: str, model: str, created: int, choices: Sequence[Choice], prompt: int) -> Answer:
    """The choices as an answer, with its usage: `prompt` tokens read, and the tokens of all choices written."""
    total = longest = 0
    for choice in choices:
        count = length(choice)
        total += count
        longest = max(longest, count)
    return Answer(answer_id, model, created, tuple(choices), Usage(prompt, total), longest)


def _text(draft: Draft) -> str:
    return draft.text if draft.pieces is None else "".join(draft.pieces)


def _within_limit(pieces: tuple[str, ...], stopped_by: str | None, call: ChatCall) -> Choice:
    limit = _limit(call)
    if len(pieces) > limit:
        return Choice(pieces[:limit], "length")
    return Choice(pieces, stopped_by=stopped_by)


def _limit(call: ChatCall) -> int:
    return MOST_TOKENS if call.max_tokens is None else min(call.max_tokens, MOST_TOKENS)


def _calls(draft: Draft, call: ChatCall, rng: Random) -> tuple[ToolCall, ...]:
    """The calls of tools that the request makes of a draft without any."""
    if draft.refusal is not None or (draft.settled and call.tool_choice == "auto"):
        return ()
    return tools.called(call, rng)


def _calling(calls: Sequence[ToolCall], limit: int) -> Choice:
    """The calls; where the limit falls within one, its arguments end there, as a model's do."""
    kept: list[ToolCall] = []
    for call in calls:
        pieces = tokens(call.arguments)
        if len(pieces) > limit:
            return Choice((), "length", (*kept, ToolCall(call.id, call.name, "".join(pieces[:limit]))))
        kept.append(call)
        limit -= len(pieces)
    return Choice((), "tool_calls", tuple(kept))


def _refusing(refusal: str, limit: int) -> Choice:
    pieces = tokens(refusal)
    if len(pieces) > limit:
        return Choice((), "length", refusal="".join(pieces[:limit]))
    return Choice((), refusal=refusal)
