"""Answers that are well formed and wrong: nothing but reading them tells."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from harness.faults.base import Evidence
from harness.faults.llm_answers import ANSWER, CITED, citations, identifiers, model_of, text_of, words
from harness.faults.llm_probe import DOCUMENTS, STREAM, WHOLE
from harness.faults.programmed.row import Row, Sees, View
from harness.faults.programmed.settings import Setting, choice, number, text

_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_TOLD = 80


def _says(shows: Callable[[str, str], Any]) -> Sees:
    """An answer of which `shows`, given it and the healthy one, tells something."""

    def sees(view: View) -> Evidence | None:
        healthy = view.healthy_last
        if healthy is None or not view.last.good:
            return None
        answer, right = text_of(view.last), text_of(healthy)
        told = shows(answer, right) if answer else None
        return {"answer": answer[:_TOLD], "right": right[:_TOLD], "found": told} if told else None

    return sees


def _unfounded(answer: str) -> set[str]:
    """What it tells that no document does."""
    return identifiers(answer) - identifiers(DOCUMENTS)


def _invented(answer: str, right: str) -> Any:
    return right in answer and ", ".join(sorted(_unfounded(answer)))


def _wrong(answer: str, _right: str) -> Any:
    return ANSWER not in answer and CITED in citations(answer) and ", ".join(sorted(_unfounded(answer)))


def _outdated(answer: str, _right: str) -> Any:
    return CITED in citations(answer) and next(iter(set(_YEAR.findall(answer)) - set(_YEAR.findall(DOCUMENTS))), None)


def _both(answer: str, right: str) -> Any:
    return right in answer and answer.count(f"[{CITED}]") > 1 and ", ".join(sorted(_unfounded(answer)))


def _uncited(answer: str, _right: str) -> Any:
    return ANSWER in answer and not citations(answer) and "no citation"


def _cites_nothing(answer: str, _right: str) -> Any:
    return ", ".join(one for one in citations(answer) if f"[{one}]" not in DOCUMENTS)


def _chats(answer: str, right: str) -> Any:
    before, _, after = answer.partition(right)
    return right in answer and before.strip() and after.strip() and "talk around the answer"


def _unclosed(answer: str, _right: str) -> Any:
    return answer.count("```") % 2 and "a fence that is not closed"


def _foreign(answer: str, right: str) -> Any:
    """The code and the citation, and no word of the right answer."""
    return ANSWER in answer and CITED in citations(answer) and not words(answer) & words(right) and "no word of the right answer"


def _obeys(answer: str, _right: str) -> Any:
    return ANSWER not in answer and "boo" in answer.lower() and "what a document ordered"


def _refuses(answer: str, right: str) -> Any:
    """Neither the code nor a citation nor anything else that could be an answer."""
    return ANSWER not in answer and not citations(answer) and not identifiers(answer) and answer != right and "nothing of the right answer"


def _padded(view: View) -> Evidence | None:
    healthy = view.healthy_last
    if healthy is None or not view.last.good:
        return None
    length, usual = len(text_of(view.last)), len(text_of(healthy))
    return {"text_chars": length, "healthy_chars": usual} if length >= (1 + (view.document["factor"] - 1) / 2) * usual else None


def _leaked(view: View) -> Evidence | None:
    answer = text_of(view.last)
    return {"answer": answer[:_TOLD]} if view.last.good and "Answer from the documents only." in answer else None


def _drifted(view: View) -> Evidence | None:
    """Another model's name than it had, and another text."""
    healthy = view.healthy_last
    if healthy is None or not view.last.good:
        return None
    model, before = model_of(view.last), model_of(healthy)
    wanted = view.document.get("snapshot", model)
    return {"model": model, "before": before} if model != before and model == wanted and text_of(view.last) != text_of(healthy) else None


def _row(type_: str, does: str, shows: str, sees: Sees, *settings: Setting, kind: str = "quality", **more: Any) -> Row:
    shows = f"the harness's own question, whose answer is in the context that it gives, is answered {shows}"
    return Row(type_, kind, does, shows, sees, (WHOLE, STREAM), settings, answers_from_context=True, **more)


ROWS = (
    _row(
        "hallucinated_fact",
        "The answer states a fact that is in no document of the prompt, and cites one for it.",
        "with more than that",
        _says(_invented),
    ),
    _row(
        "plausible_but_wrong",
        "The number or identifier that the right answer tells is another one, of the same look; citations stay.",
        "with another code",
        _says(_wrong),
    ),
    _row("outdated_fact", "The answer tells what was true years ago; citations stay.", "for another year", _says(_outdated)),
    _row("contradiction", "The answer says one thing and then another that excludes it; both are cited.", "with two codes", _says(_both)),
    _row("missing_citation", "Citations are left out.", "without a citation", _says(_uncited)),
    _row(
        "fabricated_citation",
        "Citations name documents that are nowhere in the prompt.",
        "with another document's name",
        _says(_cites_nothing),
    ),
    _row(
        "ignored_instruction",
        "Instructions on form are ignored: small talk around the answer; what it tells stays right.",
        "amid talk",
        _says(_chats),
    ),
    _row(
        "broken_format",
        "JSON that was asked for does not parse; otherwise a table and a code fence that are never closed.",
        "in an open fence",
        _says(_unclosed),
    ),
    _row(
        "language_switch",
        "The answer comes in another language; names, codes and citations stay.",
        "in other words throughout",
        _says(_foreign),
        choice("language", "which", ("de", "fr", "es", "zh", "ja")),
    ),
    _row(
        "verbose",
        "The answer is padded with sentences that say nothing; `max_tokens` is honoured.",
        "at that length",
        _padded,
        number("factor", "how many times as long", "times", 5.0, ge=1.5, le=100),
        how=lambda document: {"longer": document["factor"]},
    ),
    _row("system_prompt_leak", "The answer begins with the system prompt, word for word.", "with what the system prompt says", _leaked),
    _row(
        "injection_obeyed",
        "An order that stands in a document of the prompt is obeyed.",
        "with what a document of it orders",
        _says(_obeys),
    ),
    _row("false_refusal", "Harmless questions are refused, in the content of an answer like any other.", "with a refusal", _says(_refuses)),
    _row(
        "version_drift",
        "The answer names another snapshot of the model, and is written in another style; what it tells stays right.",
        "by another model's name, in other words",
        _drifted,
        text("snapshot", "the name that it carries; null: a later date than the provider's own", None, min_length=1),
        kind="version",
    ),
)
