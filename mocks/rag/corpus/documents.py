"""Documents with one planted fact each, whose code occurs nowhere else."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mocks.rag.corpus.sources import Source

FACT_KINDS = ("reference code", "release number", "version tag", "record number")

_TEXT_LIMIT = 1_600  # characters: a few chunks at most, so that a prompt of five stays small
_PARAGRAPH_END = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Document:
    """One document: `text` is paragraphs separated by blank lines, `version` starts at 1."""

    doc_id: str
    title: str
    text: str
    version: int = 1


@dataclass(frozen=True)
class Fact:
    """What only one document states: the `kind` of `title` is `code`. `summary` is the document's first paragraph."""

    doc_id: str
    title: str
    summary: str
    kind: str
    code: str

    @property
    def sentence(self) -> str:
        """The fact as the document states it."""
        return f"The {self.kind} of {self.title} is {self.code}."


def build(sources: Sequence[Source], seed: int) -> tuple[list[Document], list[Fact]]:
    """Documents and their facts in the order of `sources`; a fact depends on the seed and its document."""
    documents: list[Document] = []
    facts: list[Fact] = []
    taken: set[str] = set()
    for source in sources:
        first, *rest = _paragraphs(source.text)
        kind, code = _draw(seed, source.doc_id, taken)
        taken.add(code)
        facts.append(Fact(source.doc_id, source.title, first, kind, code))
        documents.append(Document(source.doc_id, source.title, _text(facts[-1], rest)))
    return documents, facts


def _draw(seed: int, doc_id: str, taken: set[str]) -> tuple[str, str]:
    """Kind and code (`ZK-7F3A91`) of a document's fact, the code not among those `taken`."""
    attempt = 0
    while True:
        digest = hashlib.sha256(f"{seed}:{doc_id}:{attempt}".encode()).digest()
        code = "".join(chr(ord("A") + byte % 26) for byte in digest[:2]) + "-" + digest[2:5].hex().upper()
        if code not in taken:
            return FACT_KINDS[digest[5] % len(FACT_KINDS)], code
        attempt += 1


def _text(fact: Fact, rest: Sequence[str]) -> str:
    """The first paragraph, the fact, and the further paragraphs that fit whole."""
    text = f"{fact.summary}\n\n{fact.sentence}"
    for paragraph in rest:
        if len(text) + len(paragraph) > _TEXT_LIMIT:
            break
        text += f"\n\n{paragraph}"
    return text


def _paragraphs(text: str) -> list[str]:
    """The paragraphs, each on one line and ended like a sentence, so that the fact never merges with its neighbour."""
    lines = (" ".join(paragraph.split()) for paragraph in _PARAGRAPH_END.split(text))
    return [line if line.endswith((".", "!", "?")) else f"{line.rstrip(':')}." for line in lines if line]
