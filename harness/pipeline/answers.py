"""What a step answered, as a document on disk between its process and the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.findings import Finding
from harness.pipeline.step import StepResult
from harness.score.check import Status


def document(result: StepResult) -> dict[str, Any]:
    """JSON-ready."""
    return {
        "status": result.status.value,
        "reason": result.reason,
        "findings": [finding.to_json() for finding in result.findings],
        "evidence": {name: str(path) for name, path in result.evidence.items()},
        "outputs": dict(result.outputs),
    }


def said_in(file: Path) -> dict[str, Any]:
    """The JSON document that a command of ours wrote there; empty where it did not."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def result_of(answer: Mapping[str, Any]) -> StepResult:
    """The inverse. Raises KeyError, TypeError or ValueError for what is no answer."""
    return StepResult(
        status=Status(answer["status"]),
        reason=" ".join(str(answer["reason"]).split()),
        findings=tuple(Finding(**finding) for finding in answer["findings"]),
        evidence={str(name): Path(path) for name, path in answer["evidence"].items()},
        outputs={str(name): str(value) for name, value in answer["outputs"].items()},
    )


def read(path: Path) -> StepResult | None:
    """None for an answer that was never given, or not to its end."""
    try:
        return result_of(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(path: Path, answer: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(answer, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(path)
