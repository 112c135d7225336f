"""The generated corpus, chunked and embedded as the stack does it, with search by brute force."""

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mocks.llm.hashing import embed
from mocks.rag.corpus.documents import build
from mocks.rag.corpus.questions import Question, make_questions
from mocks.rag.corpus.sources import from_standard_library
from mocks.rag.document.chunking import Chunk, chunk_document
from mocks.rag.generation.prompt import Asked, Context, messages

DIMENSION = 384


@dataclass(frozen=True)
class CorpusIndex:
    questions: list[Question]
    chunks: list[Chunk]
    matrix: NDArray[np.float32]

    @classmethod
    def build(cls, seed: int, documents: int = 400) -> "CorpusIndex":
        texts, facts = build(from_standard_library(documents), seed)
        chunks = [chunk for text in texts for chunk in chunk_document(text.doc_id, text.title, text.text)]
        matrix = np.stack([embed(chunk.text, DIMENSION) for chunk in chunks])
        return cls(make_questions(facts, documents * 3 // 4, random.Random(seed)), chunks, matrix)

    def top(self, question: str, k: int = 5) -> list[Chunk]:
        order = np.argsort(-(self.matrix @ embed(question, DIMENSION)))[:k]
        return [self.chunks[i] for i in order]

    def prompt(self, question: Question) -> str:
        """The prompt that generation makes of the question and what is retrieved for it, with the gold document's fact in it."""
        found = self.top(question.question)
        if question.canary is not None and not any(question.canary in chunk.text for chunk in found):
            gold = next(chunk for chunk in self.chunks if question.canary in chunk.text)
            found = [*found[:-1], gold]
        asked = Asked(question.question, tuple(Context(chunk.doc_id, chunk.text) for chunk in found), stream=False)
        return "\n\n".join(message["content"] for message in messages(asked))
