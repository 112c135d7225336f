"""Answers in one piece whose status says that all is well, and whose body does not."""

import json
from dataclasses import dataclass, replace
from random import Random
from typing import Annotated, Any, ClassVar, Literal

from mocks.faults.base import OfAnyCall
from mocks.faults.documents import Param
from mocks.faults.edits import WholeRank, edit_json, edit_whole
from mocks.llm.answer import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Answer, EmbeddingAnswer, Usage
from mocks.llm.faults.edits import edit_answer, edit_vectors
from mocks.llm.faults.events import error_value
from mocks.llm.faults.registry import FAULTS, OfAnswers, OfGeneration, OfWholes
from mocks.llm.plan import Plan, Whole, with_text
from mocks.llm.words import tokens

_MAIN_FIELD = {CHAT: "choices", RESPONSES: "output", MESSAGES: "content", EMBEDDINGS: "data"}
_LOGIN_PAGE = (
    b'<!DOCTYPE html>\n<html lang="en"><head><title>Sign in</title></head><body><h1>Sign in</h1>'
    b'<form method="post" action="/login"><input name="user"><input name="password" type="password"><button>Sign in</button></form>'
    b"</body></html>\n"
)


@FAULTS.register("wrong_content_type")
@dataclass(kw_only=True)
class WrongContentType(OfAnyCall):
    """A captive portal or a proxy's login: some clients return the page as if it were the answer."""

    summary: ClassVar[str] = "200 `text/html` with a login page, whatever was asked."

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Let the proxy speak."""
        plan.instead = Whole(_LOGIN_PAGE, 200, "text/html; charset=utf-8")
        return True


@FAULTS.register("error_in_ok")
@dataclass(kw_only=True)
class ErrorInOk(OfWholes):
    """A gateway that reports the provider's error with a status of its own."""

    summary: ClassVar[str] = "200 with an error object instead of an answer."

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the body."""
        facts = plan.facts if plan.facts.route == MESSAGES else replace(plan.facts, route=CHAT)
        body = json.dumps(error_value(facts, 0), separators=(",", ":")).encode()
        edit_whole(plan, self, WholeRank.BYTES, lambda whole: replace(whole, body=body))
        return True


@FAULTS.register("missing_field")
@dataclass(kw_only=True)
class MissingField(OfWholes):
    """Clients hand out None for it, and fail later, elsewhere."""

    summary: ClassVar[str] = (
        "200 without the field that holds the answer (`choices`; `output`, `content`, `data` of other APIs), or without usage."
    )
    field: Annotated[Literal["choices", "usage"], Param("which is missing")] = "choices"

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the body."""
        name = _MAIN_FIELD.get(plan.facts.route, "data") if self.field == "choices" else "usage"
        edit_json(plan, self, lambda value: value.pop(name, None))
        return True


@FAULTS.register("null_content")
@dataclass(kw_only=True)
class NullContent(OfGeneration):
    """An answer that answers nothing."""

    summary: ClassVar[str] = "The message has content null (other APIs: no content parts), an empty text, or a refusal in its place."
    how: Annotated[Literal["null", "empty", "refusal"], Param("which; null only where no stream is asked for")] = "null"

    def concerns(self, plan: Plan) -> bool:
        """Whether there is a message that could be null."""
        return super().concerns(plan) and not (self.how == "null" and plan.facts.stream)

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the answer, or for null its body: what was generated is lost, and counted."""
        if self.how == "null":
            edit_json(plan, self, nullify_content)
        else:
            edit_answer(plan, self, _refused if self.how == "refusal" else _emptied)
        return True


_REFUSAL = "I'm sorry, but I can't assist with that request."


def _emptied(answer: Answer) -> Answer:
    for index in range(len(answer.choices)):
        answer = with_text(answer, index, ())
    return replace(answer, choices=tuple(replace(one, tool_calls=(), refusal=None) for one in answer.choices))


def _refused(answer: Answer) -> Answer:
    """Every choice refuses; what it says instead counts as generated."""
    answer = _emptied(answer)
    size = len(tokens(_REFUSAL))
    usage = replace(answer.usage, completion_tokens=size * len(answer.choices))
    choices = tuple(replace(one, refusal=_REFUSAL, finish="stop") for one in answer.choices)
    return replace(answer, choices=choices, usage=usage, longest=size)


def nullify_content(value: dict[str, Any]) -> None:
    """Take the content out of a body: null in chat completions, no parts in the other APIs."""
    for choice in value.get("choices", ()):
        choice["message"]["content"] = None
    for name in ("output", "content"):
        if name in value:
            value[name] = []


@FAULTS.register("wrong_model")
@dataclass(kw_only=True)
class WrongModel(OfAnswers):
    """Answered by another model than was asked for, and billed as such."""

    summary: ClassVar[str] = "The answer names another model than was asked for."
    model: Annotated[str, Param("the name that it carries")] = "gauntlet-other-model"

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the answer."""
        edit_answer(plan, self, lambda answer: replace(answer, model=self.model))
        edit_vectors(plan, self, self._renamed)
        return True

    def _renamed(self, answer: EmbeddingAnswer) -> EmbeddingAnswer:
        return answer if answer.model == self.model else replace(answer, model=self.model)


@FAULTS.register("usage_missing")
@dataclass(kw_only=True)
class UsageMissing(OfAnswers):
    """What counts tokens for budgets and bills counts nothing."""

    summary: ClassVar[str] = "The answer tells a usage of zero, or none at all."
    how: Annotated[Literal["zero", "absent"], Param("which; absent only where no stream is asked for")] = "zero"

    def concerns(self, plan: Plan) -> bool:
        """Whether there is a usage to leave out: a stream of chat completions has one only where it was asked for."""
        facts = plan.facts
        if not (super().concerns(plan) and facts.stream):
            return super().concerns(plan)
        told = facts.route != CHAT or (facts.call is not None and facts.call.include_usage)
        return told and self.how == "zero"

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the answer or its body."""
        if self.how == "absent":
            edit_json(plan, self, lambda value: value.pop("usage", None))
        else:
            edit_answer(plan, self, lambda answer: replace(answer, usage=Usage(0, 0)))
            edit_vectors(plan, self, lambda answer: replace(answer, usage=Usage(0, 0)))
        return True
