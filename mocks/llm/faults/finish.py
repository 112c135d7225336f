"""Answers that end before they have said everything, and say so."""

from dataclasses import dataclass, replace
from random import Random
from typing import Annotated, ClassVar, Literal

from mocks.faults.documents import Param
from mocks.faults.edits import edit_json
from mocks.llm.answer import CHAT, Answer
from mocks.llm.faults.body import nullify_content
from mocks.llm.faults.edits import edit_answer
from mocks.llm.faults.registry import FAULTS, OfGeneration
from mocks.llm.plan import Plan, with_text

Tokens = Annotated[int | None, Param("how much of the answer is left; null: half", "tokens", least=0)]


@FAULTS.register("finish_length")
@dataclass(kw_only=True)
class FinishLength(OfGeneration):
    """A truncation that the finish reason tells of."""

    summary: ClassVar[str] = "The answer is cut off with finish reason `length` (Anthropic: `max_tokens`), whole or streamed."
    tokens: Tokens = None

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the answer."""
        edit_answer(plan, self, lambda answer: _cut(answer, self.tokens, "length"))
        return True


@FAULTS.register("finish_content_filter")
@dataclass(kw_only=True)
class FinishContentFilter(OfGeneration):
    """Moderation strikes while the model writes."""

    summary: ClassVar[str] = (
        "The answer is cut off with finish reason `content_filter` (Anthropic: `refusal`): content null, or part of a stream."
    )
    tokens: Tokens = None

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the answer, and the body where it comes in one piece."""
        left = self.tokens if plan.facts.stream else 0
        edit_answer(plan, self, lambda answer: _cut(answer, left, "content_filter"))
        if plan.facts.route == CHAT and not plan.facts.stream:
            edit_json(plan, self, nullify_content)
        return True


def _cut(answer: Answer, left: int | None, finish: Literal["length", "content_filter"]) -> Answer:
    for index, choice in enumerate(answer.choices):
        pieces = choice.tokens[: len(choice.tokens) // 2 if left is None else left]
        answer = with_text(answer, index, pieces)
    choices = tuple(replace(one, finish=finish, tool_calls=(), refusal=None, stopped_by=None) for one in answer.choices)
    return replace(answer, choices=choices)
