"""From a question and its contexts to messages, and from an answer back to its citations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mocks.rag.common.errors import ApiError

QUESTION_CHARS_MAX = 10_000
CONTEXTS_MAX = 50
CONTEXT_CHARS_MAX = 24_000
"""Of all contexts together; those that come later, the less similar ones, are left out beyond it."""

_INSTRUCTIONS = (
    "Answer the question from the documents below and from nothing else. Cite the document of every statement as [doc-id]. "
    "If the documents do not hold the answer, say that you cannot find it in the provided documents."
)
_CITATION = re.compile(r"\[([^\]\s]+)\]")

Message = dict[str, str]


@dataclass(frozen=True)
class Context:
    """A piece of a document."""

    doc_id: str
    text: str


@dataclass(frozen=True)
class Asked:
    """Body of `POST /generate`, checked."""

    question: str
    contexts: tuple[Context, ...]
    stream: bool

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Asked:
        """Raises ApiError 422."""
        question, contexts, stream = body.get("question"), body.get("contexts"), body.get("stream", False)
        if not isinstance(question, str) or not 0 < len(question.strip()) <= QUESTION_CHARS_MAX:
            raise _invalid(f"question must be a text of 1 to {QUESTION_CHARS_MAX} characters")
        if not isinstance(contexts, list) or len(contexts) > CONTEXTS_MAX:
            raise _invalid(f"contexts must be a list of at most {CONTEXTS_MAX}")
        if not isinstance(stream, bool):
            raise _invalid("stream must be true or false")
        return cls(question, tuple(map(_context, contexts)), stream)


def messages(asked: Asked) -> list[Message]:
    """The chat messages: instructions, then the contexts as blocks `[doc-id] text` of one line each, then the question.

    Line breaks inside contexts become blanks, so that no document can pass its own lines off as a block or as the question.
    """
    blocks: list[str] = []
    room = CONTEXT_CHARS_MAX
    for context in asked.contexts:
        block = f"[{context.doc_id}] {' '.join(context.text.split())}"
        if len(block) > room and blocks:
            break
        blocks.append(block[:CONTEXT_CHARS_MAX])
        room -= len(block)
    question = " ".join(asked.question.split())
    return [
        {"role": "system", "content": _INSTRUCTIONS},
        {"role": "user", "content": "\n\n".join([*blocks, f"Question: {question}"])},
    ]


def citations(answer: str, contexts: Sequence[Context]) -> list[str]:
    """The ids that `answer` cites and that are among the contexts, each once, in the order of first mention."""
    known = {context.doc_id for context in contexts}
    return [doc_id for doc_id in dict.fromkeys(_CITATION.findall(answer)) if doc_id in known]


def _context(value: object) -> Context:
    if isinstance(value, dict):
        doc_id, text = value.get("doc_id"), value.get("text")
        if isinstance(doc_id, str) and doc_id and isinstance(text, str):
            return Context(doc_id, text)
    raise _invalid("each of contexts must be an object with the strings doc_id and text")


def _invalid(message: str) -> ApiError:
    return ApiError(422, "invalid_request", message)
