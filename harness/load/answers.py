"""Reading an answer into the raw quality fields of the record. Nothing is judged here but what can be seen in the text itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.load.observation import Observation
from harness.record.requests import UNKNOWN_DOCUMENT, Finish

_FINISHES = {
    "stop": Finish.STOP,
    "end_turn": Finish.STOP,
    "length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
    "content_filter": Finish.CONTENT_FILTER,
}

# "I cannot find this in the provided documents", "There is no information about …", "I don't know".
_REFUSAL = re.compile(
    r"\b(?:cannot|can\Wt|could not|couldn\Wt|unable to|did not|didn\Wt|do not|don\Wt) (?:find|answer|know|have)\b"
    r"|\bno (?:relevant )?(?:information|answer|documents?)\b"
    r"|\bnot (?:contained |mentioned )?in the (?:provided |given )?(?:documents|context)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the questions file; `canary` is the code that a right answer contains, None where no document answers."""

    id: int
    text: str
    canary: str | None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Questions in file order, and the number of each document: its line in the corpus file, from 0."""

    questions: tuple[Question, ...]
    documents: Mapping[str, int]

    def numbers(self, doc_ids: object) -> list[int]:
        """Document numbers in the given order; UNKNOWN_DOCUMENT for an id that the corpus does not hold, [] for what is no list."""
        if not isinstance(doc_ids, list):
            return []
        return [self.documents.get(d, UNKNOWN_DOCUMENT) if isinstance(d, str) else UNKNOWN_DOCUMENT for d in doc_ids]


def load_knowledge(questions_file: str | None, corpus_file: str | None) -> Knowledge:
    """Read both files; an absent one is empty. Raises OSError, ValueError or KeyError for files of another format."""
    questions = (Question(int(q["id"]), str(q["question"]), q["canary"]) for q in _lines(questions_file))
    documents = {str(d["doc_id"]): number for number, d in enumerate(_lines(corpus_file))}
    return Knowledge(tuple(questions), documents)


def _lines(file: str | None) -> Iterable[dict[str, Any]]:
    if file is None:
        return
    with Path(file).open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def read_answer(
    observation: Observation, document: Mapping[str, Any], text: str, question: Question, knowledge: Knowledge, preferred_model: str | None
) -> None:
    """Note a complete answer: `document` holds its fields (of the JSON body, or of the stream's last event), `text` its words.

    A refusal says that it cannot find the answer, and cites nothing.
    """
    usage = document.get("usage")
    observation.finish = finish_of(document.get("finish_reason"))
    observation.attempts = _count(document.get("attempts"))
    observation.tokens = _count(usage.get("completion_tokens")) if isinstance(usage, dict) else 0
    observation.citations = knowledge.numbers(document.get("citations"))
    observation.degraded = flag_of(document.get("degraded"))
    observation.canary = int(holds(text, question.canary)) if question.canary is not None else -1
    observation.refused = int(not observation.citations and _REFUSAL.search(text) is not None)
    model = document.get("model")
    if preferred_model is not None and isinstance(model, str):
        observation.preferred = int(model == preferred_model)


def source_numbers(sources: object, knowledge: Knowledge) -> list[int]:
    """Numbers of the documents that the retrieved chunks belong to, in rank order; a document may occur more than once."""
    if not isinstance(sources, list):
        return []
    return knowledge.numbers([s.get("doc_id") if isinstance(s, dict) else None for s in sources])


def finish_of(reason: object) -> Finish:
    """NONE where no reason was given."""
    return _FINISHES.get(reason, Finish.OTHER) if isinstance(reason, str) and reason else Finish.NONE


def flag_of(value: object) -> int:
    """1, 0, or -1 for what is no boolean."""
    return int(value) if isinstance(value, bool) else -1


def holds(text: str, canary: str) -> bool:
    """Does the text hold the canary as a whole word?"""
    return re.search(rf"(?<!\w){re.escape(canary)}(?!\w)", text) is not None


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32 else 0
