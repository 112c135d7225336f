"""The strategies: extractive, canned, templated, echo."""

import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import orjson

from mocks.llm.answer import ChatCall, ToolCall
from mocks.llm.answers import extractive
from mocks.llm.answers.base import Draft, Task
from mocks.llm.answers.reading import last_user_text, question
from mocks.llm.answers.tools import call_id
from mocks.llm.words import tokens

EXTRACT_TOKENS = 60
"""Most tokens of an extracted answer."""


@dataclass(frozen=True, slots=True)
class Extractive:
    """The sentence of the prompt's context that answers the question, cited; where there is none, what a tool has just said."""

    most_tokens: int = EXTRACT_TOKENS

    def write(self, task: Task) -> Draft:
        """The same for every choice."""
        text = extractive.answer(task.call.prompt, self.most_tokens)
        last = task.call.turns[-1]
        if text == extractive.REFUSAL and last.role == "tool":
            text = "".join(tokens(last.text)[: self.most_tokens])
        return Draft(text)


@dataclass(frozen=True, slots=True)
class Rule:
    """An answer for calls in whose last user turn `pattern` is found. Its `calls`, (name, arguments), need their tools to be offered."""

    pattern: re.Pattern[str]
    text: str = ""
    calls: Sequence[tuple[str, Mapping[str, object]]] = ()
    refusal: str | None = None

    def fits(self, call: ChatCall, said: str) -> bool:
        """Whether it answers the call."""
        if self.pattern.search(said) is None:
            return False
        offered = {tool.name for tool in call.tools} if call.tool_choice != "none" else set()
        return all(name in offered for name, _ in self.calls)

    def draft(self, rng: Random) -> Draft:
        """What it says."""
        calls = tuple(ToolCall(call_id(rng), name, orjson.dumps(arguments).decode()) for name, arguments in self.calls)
        return Draft(self.text, calls, self.refusal, settled=True)


@dataclass(frozen=True, slots=True)
class Canned:
    """The first rule that fits; else `default`; without one, as Extractive."""

    rules: Sequence[Rule]
    default: str | None = None

    def write(self, task: Task) -> Draft:
        """The same text for every choice."""
        said = last_user_text(task.call)
        rule = next((rule for rule in self.rules if rule.fits(task.call, said)), None)
        if rule is not None:
            return rule.draft(task.rng)
        return Extractive().write(task) if self.default is None else Draft(self.default)


FIELDS: Mapping[str, Callable[[Task], str]] = {
    "question": lambda task: question(task.call),
    "context": lambda task: "\n".join(text for _, text in extractive.parse(task.call.prompt)[1]),
    "answer": lambda task: extractive.answer(task.call.prompt, EXTRACT_TOKENS),
    "system": lambda task: "\n".join(turn.text for turn in task.call.turns if turn.role == "system"),
    "model": lambda task: task.call.model,
    "tenant": lambda task: task.call.tenant or "",
    "n": lambda task: str(task.number + 1),
}
"""What a template may name."""


class Templated:
    """A template, which may name FIELDS: `{question}`, `{context}`, `{answer}` (the extracted one), `{n}` (of the choice, from 1)…"""

    def __init__(self, template: str) -> None:
        """Raises ValueError where the template is none or names something else."""
        self._parts: list[tuple[str, Callable[[Task], str] | None]] = []
        for literal, name, form, conversion in string.Formatter().parse(template):
            if name is not None and (name not in FIELDS or form or conversion):
                raise ValueError(f"a template may name {', '.join('{' + known + '}' for known in FIELDS)}, not {{{name}}}")
            self._parts.append((literal, None if name is None else FIELDS[name]))

    def write(self, task: Task) -> Draft:
        """The template, filled in."""
        return Draft("".join(literal + (field(task) if field else "") for literal, field in self._parts))


@dataclass(frozen=True, slots=True)
class Echo:
    """What the user said last; with `count`, over and over until it is that many tokens long, whatever was said (a benchmark's answer)."""

    count: int | None = None

    def write(self, task: Task) -> Draft:
        """The same for every choice."""
        said = last_user_text(task.call)
        if self.count is None:
            return Draft(said)
        once = tokens(said[: _CHARACTERS * self.count].strip() or "echo")
        again = [" " + once[0], *once[1:]]
        pieces = tuple((once + again * (self.count // len(again)))[: self.count])
        return Draft(pieces=pieces, settled=True)


_CHARACTERS = 64  # of a long text, this many for each token are enough to take the tokens from
