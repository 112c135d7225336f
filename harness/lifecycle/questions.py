"""What is true of the questions that the load asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def question_truth(corpus: Path, questions: Path) -> dict[str, Any]:
    """The record's truth about the questions: gold documents by their line number in the corpus file."""
    numbers = {json.loads(line)["doc_id"]: n for n, line in enumerate(corpus.read_text(encoding="utf-8").splitlines())}
    asked = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]
    return {
        "documents": len(numbers),
        "questions": [{"id": q["id"], "gold": [numbers[d] for d in q["gold"]], "answerable": q["answerable"]} for q in asked],
    }
