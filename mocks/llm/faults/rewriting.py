"""Rewriting an answer's text: what faults of meaning share."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from mocks.llm.answer import ChatCall
from mocks.llm.answers.extractive import parse
from mocks.llm.faults.edits import edit_text
from mocks.llm.faults.registry import OfGeneration
from mocks.llm.plan import Plan

CITATION = re.compile(r"\[([^\]\s]+)\]")
_NUMBERED = re.compile(r"[A-Za-z0-9]+(?:[-._][A-Za-z0-9]+)*")
_NEGATIONS = (
    (" is ", " is not "),
    (" are ", " are not "),
    (" can ", " cannot "),
    (" must ", " need not "),
    (" returns ", " never returns "),
)
_TRIES = 50


@dataclass(kw_only=True)
class Rewriting(OfGeneration, ABC):
    """Writes other text in the place of what the model said."""

    keeps_json: ClassVar[bool] = True
    """Whether of an answer in JSON only its longest text is rewritten."""

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the answer."""
        call = plan.facts.call
        if call is None:
            return False

        def rewrite(text: str) -> str:
            return self.rewritten(text, call, rng)

        in_json = self.keeps_json and call.json_schema is not None
        edit_text(plan, self, (lambda text: _in_json(text, rewrite)) if in_json else rewrite)
        return True

    @abstractmethod
    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:
        """What it says instead; the same text where there is nothing to change."""


def contexts(call: ChatCall) -> list[tuple[str, str]]:
    """The prompt's documents as (id, text)."""
    return parse(call.prompt)[1]


def unseen(make: Callable[[], str], seen: str) -> str:
    """The first of what `make` gives that is not in `seen`; the last tried where all are."""
    made = make()
    for _ in range(_TRIES):
        if made not in seen:
            break
        made = make()
    return made


def altered(text: str, call: ChatCall, rng: Random) -> str:
    """The text with the value that it tells replaced by one of the same look that is nowhere in the prompt.

    The value is the longest word with a digit outside of citations; without one, the statement is negated.
    """
    value = telling_value(text)
    if value is None:
        return _negated(text)
    other = unseen(lambda: "".join(_other_digit(char, rng) if char.isdigit() else char for char in value), call.prompt)
    return _outside_citations(text, value, other)


def telling_value(text: str) -> str | None:
    """The longest word with a digit outside of citations: a number, a version, a code."""
    words = [word for word in _NUMBERED.findall(CITATION.sub(" ", text)) if any(char.isdigit() for char in word)]
    return max(words, key=len, default=None)


def replaced(text: str, old: str, new: str) -> str:
    """The text with one value for another, citations left alone."""
    return _outside_citations(text, old, new)


def _outside_citations(text: str, old: str, new: str) -> str:
    pattern = re.compile(rf"\[[^\]\s]+\]|(?<![A-Za-z0-9]){re.escape(old)}(?![A-Za-z0-9])")
    return pattern.sub(lambda found: found[0] if found[0].startswith("[") else new, text)


def _other_digit(digit: str, rng: Random) -> str:
    return rng.choice([other for other in "123456789" if other != digit])


def _negated(text: str) -> str:
    for plain, negated in _NEGATIONS:
        if plain in text:
            return text.replace(plain, negated, 1)
    return f"It is not true that {text[:1].lower()}{text[1:]}" if text else text


def _in_json(text: str, rewrite: Callable[[str], str]) -> str:
    """The JSON with its longest text rewritten."""
    try:
        value = json.loads(text)
    except ValueError:
        return rewrite(text)
    places = list(_texts(value))
    if not places:
        return text
    holder, key = max(places, key=lambda place: len(place[0][place[1]]))
    holder[key] = rewrite(holder[key])
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _texts(value: Any) -> list[tuple[Any, Any]]:
    """Where texts stand in a JSON value: (holder, key or index)."""
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    found = [(value, key) for key, one in items if isinstance(one, str)]
    return found + [place for _, one in items for place in _texts(one)]
