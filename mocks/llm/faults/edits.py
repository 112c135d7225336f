"""How faults edit an answer of the provider, at its several stages."""

from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum

from mocks.faults.edits import add_edit
from mocks.llm.answer import Answer, Choice, EmbeddingAnswer
from mocks.llm.plan import Plan, Stream, with_text
from mocks.llm.words import tokens


def edit_answer(plan: Plan, fault: object, edit: Callable[[Answer], Answer]) -> None:
    """Edit what was generated, before it is put into any API's words."""

    def run(answer: Answer) -> Answer:
        edited = edit(answer)
        return answer if edited == answer else edited

    add_edit(plan, fault, plan.answer_edits, run)


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
    add_edit(plan, fault, plan.embedding_edits, edit)


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


def edit_stream(plan: Plan, fault: object, rank: StreamRank, edit: Callable[[Stream], Stream]) -> None:
    """Edit the frames of a stream; an edit that returns the very stream that it was given has changed nothing."""
    add_edit(plan, fault, plan.stream_edits, edit, rank)
