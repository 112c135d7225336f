"""Answers that are well formed and wrong: facts, and the citations that should prove them."""

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from mocks.llm.answer import ChatCall
from mocks.llm.answers.extractive import REFUSAL
from mocks.llm.faults.registry import FAULTS
from mocks.llm.faults.rewriting import CITATION, Rewriting, altered, contexts, replaced, telling_value, unseen

_THINGS = ("retention limit", "default window", "maximum depth", "grace period", "reserved quota")
_OLD_YEARS = range(2011, 2020)
_SPACED_CITATION = re.compile(r"[ \t]*\[[^\]\s]+\]")
_FIRST_NUMBER = re.compile(r"\d+")


@FAULTS.register("hallucinated_fact")
@dataclass(kw_only=True)
class HallucinatedFact(Rewriting):
    """Also where the model should have said that it does not know."""

    summary: ClassVar[str] = "The answer states a fact that is in no document of the prompt, and cites one for it."

    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:
        """The answer and an invention, or the invention alone in the place of a refusal."""
        code = unseen(lambda: f"QX-{rng.randrange(16**6):06X}", call.prompt)
        cited = CITATION.findall(text) or [doc_id for doc_id, _ in contexts(call)[:1]]
        citation = f" [{cited[-1]}]" if cited else ""
        invented = f"Its {rng.choice(_THINGS)} is {rng.randrange(100, 10_000)}, as set by directive {code}.{citation}"
        return invented if text == REFUSAL or not text else f"{text} {invented}"


@FAULTS.register("plausible_but_wrong")
@dataclass(kw_only=True)
class PlausibleButWrong(Rewriting):
    """The hardest to see: everything is right but what was asked for."""

    summary: ClassVar[str] = "The number or identifier that the right answer tells is another one, of the same look; citations stay."

    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:
        """Another value; a refusal has none."""
        return text if text == REFUSAL else altered(text, call, rng)


@FAULTS.register("outdated_fact")
@dataclass(kw_only=True)
class OutdatedFact(Rewriting):
    """What the model learnt long ago, instead of what the documents say."""

    summary: ClassVar[str] = "The answer tells what was true years ago: dated, with a smaller number where it tells one; citations stay."

    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:  # noqa: ARG002 - whatever was asked
        """The answer of another year; a refusal has no age."""
        if text == REFUSAL:
            return text
        year = rng.choice(_OLD_YEARS)
        value = telling_value(text)
        old = text if value is None else replaced(text, value, _smaller(value))
        return f"As of {year}: {old}"


def _smaller(value: str) -> str:
    """The value with its first number lowered by a third, at least by one; zero becomes one."""
    return _FIRST_NUMBER.sub(
        lambda found: str(max(0, int(found[0]) - max(1, int(found[0]) // 3))) if int(found[0]) else "1", value, count=1
    )


@FAULTS.register("contradiction")
@dataclass(kw_only=True)
class Contradiction(Rewriting):
    """Whoever searches the answer for the truth finds it, and its opposite."""

    summary: ClassVar[str] = "The answer says one thing and then another that excludes it; both are cited."

    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:
        """The answer and its opposite."""
        if text == REFUSAL:
            return text
        return f"{text} However, this is not so: {altered(text, call, rng)}"


@FAULTS.register("missing_citation")
@dataclass(kw_only=True)
class MissingCitation(Rewriting):
    """Nobody can check what is said."""

    summary: ClassVar[str] = "Citations are left out."

    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:  # noqa: ARG002 - whatever was asked
        """The text without them."""
        return _SPACED_CITATION.sub("", text)


@FAULTS.register("fabricated_citation")
@dataclass(kw_only=True)
class FabricatedCitation(Rewriting):
    """It looks proven."""

    summary: ClassVar[str] = "Citations name documents that are nowhere in the prompt; an answer without any gets one."

    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:
        """Other ids, the same for the same document."""
        made: dict[str, str] = {}
        for cited in CITATION.findall(text):
            made.setdefault(cited, _invented_id(cited, call, rng))
        if made:
            return CITATION.sub(lambda found: f"[{made[found[1]]}]", text)
        return f"{text} [{_invented_id('doc', call, rng)}]" if text else text


def _invented_id(like: str, call: ChatCall, rng: Random) -> str:
    return unseen(lambda: f"{like.rstrip('0123456789-')}-{rng.randrange(1_000, 10_000)}", call.prompt)
