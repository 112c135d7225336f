"""Splits a document into chunks: whole sentences, about 120 words, the title in front of each.

The title stays in every chunk because a chunk is embedded and found alone: a paragraph that says "it" for its subject would otherwise be
out of reach of a question that names the subject.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

WORDS_PER_CHUNK = 120
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")


@dataclass(frozen=True)
class Chunk:
    """One part of a document; `chunk_id` is stable for the same document and position."""

    chunk_id: str
    doc_id: str
    ordinal: int
    text: str


def chunk_document(doc_id: str, title: str, text: str, words_per_chunk: int = WORDS_PER_CHUNK) -> list[Chunk]:
    """The chunks of a document, in order; none for a text without words.

    Every word of `text` is in exactly one chunk, in order; a sentence is cut only when it alone exceeds `words_per_chunk`.
    """
    if words_per_chunk < 1:
        raise ValueError(f"words_per_chunk must be positive, got {words_per_chunk}")
    heading = " ".join(title.split())
    bodies = (" ".join(words) for words in _pack(text, words_per_chunk))
    return [Chunk(f"{doc_id}#{ordinal}", doc_id, ordinal, f"{heading}\n{body}" if heading else body) for ordinal, body in enumerate(bodies)]


def _pack(text: str, limit: int) -> Iterator[list[str]]:
    packed: list[str] = []
    for sentence in _sentences(text, limit):
        if packed and len(packed) + len(sentence) > limit:
            yield packed
            packed = []
        packed = packed + sentence
    if packed:
        yield packed


def _sentences(text: str, limit: int) -> Iterator[list[str]]:
    for sentence in _SENTENCE_END.split(text):
        words = sentence.split()
        for start in range(0, len(words), limit):
            yield words[start : start + limit]
