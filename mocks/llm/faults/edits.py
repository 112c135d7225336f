"""How faults edit an answer. A fault stands as void until an edit of its own has changed something, so that `applied` stays honest."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Generic, TypeVar

from mocks.llm.answer import Answer, Choice, EmbeddingAnswer
from mocks.llm.plan import Plan, Stream, Whole, with_text
from mocks.llm.words import tokens


def edit_answer(plan: Plan, fault: object, edit: Callable[[Answer], Answer]) -> None:
    """Edit what was generated, before it is put into any API's words."""

    def run(answer: Answer) -> Answer:
        edited = edit(answer)
        if edited != answer:
            _bites(plan, fault)
        return edited

    plan.void.append(fault)
    plan.answer_edits.append(run)


def edit_text(plan: Plan, fault: object, edit: Callable[[str], str]) -> None:
    """Edit the text of every choice, usage kept honest and `max_tokens` honoured. Calls of tools and refusals are left alone."""
    call = plan.facts.call
    most = None if call is None else call.max_tokens

    def run(answer: Answer) -> Answer:
        for index, choice in enumerate(answer.choices):
            if choice.tool_calls or choice.refusal is not None:
                continue
            text = edit(choice.text)
            if text != choice.text:
                answer = rewritten(answer, index, text, most)
        return answer

    edit_answer(plan, fault, run)


def rewritten(answer: Answer, index: int, text: str, most_tokens: int | None) -> Answer:
    """The answer with another text in one choice, cut to `most_tokens` as the model would have cut it."""
    pieces = tuple(tokens(text))
    kept = pieces if most_tokens is None else pieces[:most_tokens]
    changed = with_text(answer, index, kept)
    finish: Choice = replace(changed.choices[index], finish="length" if len(kept) < len(pieces) else "stop", stopped_by=None)
    return replace(changed, choices=tuple(finish if i == index else one for i, one in enumerate(changed.choices)))


def edit_vectors(plan: Plan, fault: object, edit: Callable[[EmbeddingAnswer], EmbeddingAnswer]) -> None:
    """Edit vectors; an edit that returns the very answer that it was given has changed nothing."""

    def run(answer: EmbeddingAnswer) -> EmbeddingAnswer:
        edited = edit(answer)
        if edited is not answer:
            _bites(plan, fault)
        return edited

    plan.void.append(fault)
    plan.embedding_edits.append(run)


class WholeRank(IntEnum):
    """In which order the edits of a body run, whatever the order in which their faults were put."""

    FIELDS = 0
    """Of what its JSON says."""
    BYTES = 1
    """Of the bytes, which may be no JSON afterwards."""


class StreamRank(IntEnum):
    """In which order the edits of a stream run, whatever the order in which their faults were put."""

    CONTENT = 0
    """Of single events; sees a list of them."""
    ENDLESS = 1
    ENDING = 2
    """How far it goes; from here on a stream may have no end, and is edited as it flows."""
    COMMENTS = 3
    """What stands between events."""
    LINES = 4
    CHUNKS = 5
    """How many events are in a chunk."""
    PIECES = 6
    """How events are cut up; all edits before see whole ones."""


_Edited = TypeVar("_Edited", Whole, Stream)


@dataclass(frozen=True, slots=True)
class _Ranked(Generic[_Edited]):
    plan: Plan
    fault: object
    rank: int
    edit: Callable[[_Edited], _Edited]

    def __call__(self, answer: _Edited) -> _Edited:
        edited = self.edit(answer)
        if edited is not answer:
            _bites(self.plan, self.fault)
        return edited


def edit_whole(plan: Plan, fault: object, rank: WholeRank, edit: Callable[[Whole], Whole]) -> None:
    """Edit the body of an answer in one piece; an edit that returns the very answer that it was given has changed nothing."""
    plan.void.append(fault)
    plan.whole_edits.append(_Ranked(plan, fault, rank, edit))
    plan.whole_edits.sort(key=_rank)


def edit_stream(plan: Plan, fault: object, rank: StreamRank, edit: Callable[[Stream], Stream]) -> None:
    """Edit the frames of a stream; an edit that returns the very stream that it was given has changed nothing."""
    plan.void.append(fault)
    plan.stream_edits.append(_Ranked(plan, fault, rank, edit))
    plan.stream_edits.sort(key=_rank)


def _rank(edit: Callable[[_Edited], _Edited]) -> int:
    return edit.rank if isinstance(edit, _Ranked) else 0


def _bites(plan: Plan, fault: object) -> None:
    plan.void[:] = [one for one in plan.void if one is not fault]
