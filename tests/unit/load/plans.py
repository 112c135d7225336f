"""A small plan and what belongs to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.load.answers import Knowledge, Question
from harness.load.plan import LoadFiles, LoadPlan, build
from harness.scenario.model import LoadSpec

MIX = {"ask": 6, "ask_stream": 3, "search": 1, "ingest": 1}
KNOWLEDGE = Knowledge(
    questions=(Question(0, "What is the code of A?", "AA-111111"), Question(5, "What is the code of Nothing?", None)),
    documents={"doc-a": 0, "doc-b": 1},
)


def plan(
    directory: Path = Path("/nowhere"), *, base_url: str = "http://127.0.0.1:9", duration_s: float = 10.0, files: bool = True, **load: Any
) -> LoadPlan:
    """A plan of 10 s at 20/s; `load` overrides the fields of the scenario's load."""
    spec = LoadSpec.model_validate({"shape": [{"constant": "20/s"}], "mix": MIX, **load})
    paths = LoadFiles(
        directory / "requests",
        directory / "events-load.jsonl",
        directory / "questions.jsonl" if files else None,
        directory / "corpus.jsonl" if files else None,
    )
    return build(
        spec,
        paths,
        run_id="run-1",
        duration_s=duration_s,
        seed=7,
        base_url=base_url,
        service_urls={"other": "http://127.0.0.1:8/base/"},
        preferred_model="big",
    )
