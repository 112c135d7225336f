"""Answers that are not what was asked for: in form, in language, at length, or by somebody else's order."""

import json
import re
from dataclasses import dataclass, replace
from random import Random
from typing import Annotated, ClassVar, Literal

from mocks.faults.documents import Param
from mocks.llm.answer import Answer, ChatCall
from mocks.llm.faults.edits import edit_answer, rewritten
from mocks.llm.faults.registry import FAULTS, OfGeneration
from mocks.llm.faults.rewriting import CITATION, Rewriting, contexts
from mocks.llm.plan import Plan
from mocks.llm.words import is_identifier, tokens, words

_SORRY = "I'm sorry, but I can't help with that request."


@FAULTS.register("ignored_instruction")
@dataclass(kw_only=True)
class IgnoredInstruction(Rewriting):
    """The model chats where it was told how to answer."""

    keeps_json: ClassVar[bool] = False
    summary: ClassVar[str] = "Instructions on form are ignored: small talk around the answer, also around JSON; what it tells stays right."

    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:  # noqa: ARG002 - whatever was asked
        """Small talk around the answer."""
        opening = rng.choice(("Great question!", "I love this topic!", "Happy to chat about it!"))
        return f"{opening} Let me put it in my own way instead.\n\n{text}\n\nWould you like to hear a joke about it?"


@FAULTS.register("broken_format")
@dataclass(kw_only=True)
class BrokenFormat(Rewriting):
    """Whoever parses or renders the answer fails."""

    keeps_json: ClassVar[bool] = False
    summary: ClassVar[str] = "JSON that was asked for does not parse; otherwise a table and a code fence that are never closed."

    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:  # noqa: ARG002 - nothing is drawn
        """Broken JSON, or broken Markdown."""
        if call.json_schema is not None or _is_json(text):
            return f"```json\n{text.rstrip()[:-1]},"
        return f"| answer | source\n|---|\n| {text} |\n```text\n{text}"


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[{")):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


_LANGUAGES = {
    "de": ("Laut den vorliegenden Unterlagen lautet die Antwort: {what}.", "Dazu steht in den vorliegenden Unterlagen nichts Näheres."),
    "fr": ("D'après les documents fournis, la réponse est : {what}.", "Les documents fournis ne précisent rien à ce sujet."),
    "es": ("Según los documentos, la respuesta es: {what}.", "Los documentos no dicen nada más sobre esta cuestión."),
    "zh": ("根据所提供的文档，答案是：{what}。", "所提供的文档对此没有更多说明。"),  # noqa: RUF001 - Chinese punctuation
    "ja": ("提供された文書によると、答えは{what}です。", "提供された文書にはこれ以上の記載がありません。"),
}


@FAULTS.register("language_switch")
@dataclass(kw_only=True)
class LanguageSwitch(Rewriting):
    """Right, and of no use to who asked."""

    summary: ClassVar[str] = "The answer comes in another language; names, codes and citations stay."
    language: Annotated[Literal["de", "fr", "es", "zh", "ja"], Param("which")] = "de"

    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:  # noqa: ARG002 - nothing is drawn
        """A sentence of the other language around the names."""
        told, nothing = _LANGUAGES[self.language]
        names = list(dict.fromkeys(word for word in words(CITATION.sub(" ", text)) if is_identifier(word)))
        cited = "".join(f" [{doc_id}]" for doc_id in dict.fromkeys(CITATION.findall(text)))
        return (told.format(what=", ".join(names)) if names else nothing) + cited


_PADDING = (
    "It is worth pointing out that this deserves to be looked at from several sides. ",
    "To put it differently, and in order to leave no doubt, the above can be restated at some length. ",
    "As always, the context matters, and further considerations may or may not apply. ",
    "In summary, and before coming to the conclusion, let us recapitulate what has been said so far. ",
)


@FAULTS.register("verbose")
@dataclass(kw_only=True)
class Verbose(Rewriting):
    """What is paid for by the token."""

    summary: ClassVar[str] = "The answer is padded to `factor` times its tokens with sentences that say nothing; `max_tokens` is honoured."
    factor: Annotated[float, Param("how many times as long", above=1, most=100)] = 5.0

    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:  # noqa: ARG002 - whatever was asked
        """The answer behind its padding."""
        wanted = max(1, int(len(tokens(text)) * (self.factor - 1)))
        padding = ""
        n = rng.randrange(len(_PADDING))
        while len(tokens(padding)) < wanted:
            padding += _PADDING[n % len(_PADDING)]
            n += 1
        return text + " " + padding.rstrip()


@FAULTS.register("system_prompt_leak")
@dataclass(kw_only=True)
class SystemPromptLeak(Rewriting):
    """What the operator wrote for the model alone."""

    summary: ClassVar[str] = "The answer begins with the system prompt, word for word; concerns calls that have one."

    def concerns(self, plan: Plan) -> bool:
        """Whether there is a system prompt."""
        call = plan.facts.call
        return super().concerns(plan) and call is not None and any(turn.role == "system" and turn.text for turn in call.turns)

    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:  # noqa: ARG002 - nothing is drawn
        """The leak, then the answer."""
        system = "\n".join(turn.text for turn in call.turns if turn.role == "system")
        return f"My instructions are: {system}\n\n{text}"


_TOKEN = re.compile(r"\bINJ-[A-Za-z0-9]+")
_ORDER = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}?\b(?:previous|prior|above|earlier|all|your)\b[^.\n]{0,20}?\b(?:instructions?|rules?|prompts?)\b"
    r"[^\n]*",
    re.IGNORECASE,
)
_SAY = re.compile(
    r"\b(?:say|reply|answer|respond|output|print|write)\b(?:\s+(?:with|only|exactly|just))*[:\s]+[\"']?([^\"'.\n]+)", re.IGNORECASE
)


@FAULTS.register("injection_obeyed")
@dataclass(kw_only=True)
class InjectionObeyed(Rewriting):
    """A document gave the model an order. Orders count in documents and results of tools, not where the user speaks."""

    summary: ClassVar[str] = 'An instruction that stands in a document of the prompt (`INJ-…`, "ignore previous instructions") is obeyed.'

    def concerns(self, plan: Plan) -> bool:
        """Whether a document of the prompt holds an order."""
        call = plan.facts.call
        return super().concerns(plan) and call is not None and _obeyed(call) is not None

    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:  # noqa: ARG002 - nothing is drawn
        """What was ordered, in the place of the answer."""
        return _obeyed(call) or text


def _obeyed(call: ChatCall) -> str | None:
    """What the orders in the prompt's documents make the model say; None without any."""
    read = "\n".join([*(text for _, text in contexts(call)), *(turn.text for turn in call.turns if turn.role == "tool")])
    planted = list(dict.fromkeys(_TOKEN.findall(read)))
    if planted:
        return " ".join(planted)
    order = _ORDER.search(read)
    if order is None:
        return None
    said = _SAY.search(order[0])
    return said[1].strip() if said else "As instructed, I ignore my previous instructions."


@FAULTS.register("false_refusal")
@dataclass(kw_only=True)
class FalseRefusal(Rewriting):
    """As text, not as the API's `refusal`: nothing but reading tells."""

    summary: ClassVar[str] = "A harmless question is refused, in the content of an answer like any other."

    def rewritten(self, text: str, call: ChatCall, rng: Random) -> str:  # noqa: ARG002 - whatever was asked
        """The refusal."""
        return _SORRY


_DATED = re.compile(r"-(\d{4})-\d{2}-\d{2}$")


@FAULTS.register("version_drift")
@dataclass(kw_only=True)
class VersionDrift(OfGeneration):
    """The provider has moved the alias to another snapshot, which has other habits."""

    summary: ClassVar[str] = "The answer names another snapshot of the model, and is written in another style; what it tells stays right."
    snapshot: Annotated[str | None, Param("the name that it carries; null: a later date than the profile's")] = None

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the answer."""
        call = plan.facts.call
        most = None if call is None else call.max_tokens
        in_json = call is not None and call.json_schema is not None

        def drift(answer: Answer) -> Answer:
            for index, choice in enumerate(answer.choices):
                if choice.tokens and not in_json:
                    answer = rewritten(answer, index, f"**Answer**\n\n- {choice.text}", most)
            return replace(answer, model=self.snapshot or _later(answer.model))

        edit_answer(plan, self, drift)
        return True


def _later(model: str) -> str:
    dated = _DATED.search(model)
    return f"{_DATED.sub('', model)}-{int(dated[1]) + 1 if dated else 2026}-01-15"
