"""A run of a pipeline as a stable JSON document: `pipeline.json`, and what `--json` prints."""

from __future__ import annotations

from typing import Any

from harness.gate import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS
from harness.lifecycle.exit_codes import INTERRUPTED
from harness.pipeline import words
from harness.pipeline.reading import PipelineRecord, StageRecord, StepRecord
from harness.score.check import Status

SCHEMA_VERSION = 1


def exit_code(record: PipelineRecord, *, strict: bool = False) -> int:
    """As of every command; 130 for a run that somebody interrupted."""
    if record.ending == words.INTERRUPTED:
        return INTERRUPTED
    codes = {Status.PASS: EXIT_PASS, Status.WARN: EXIT_FAIL if strict else EXIT_PASS, Status.INCONCLUSIVE: EXIT_INCONCLUSIVE}
    return codes.get(record.status, EXIT_FAIL)


def document(record: PipelineRecord, *, strict: bool = False) -> dict[str, Any]:
    """JSON-ready. Seconds are rounded to milliseconds; `state` of a step that never began is empty."""
    return {
        "schema": SCHEMA_VERSION,
        "pipeline": record.pipeline.name,
        "verdict": record.status.value,
        "exit_code": exit_code(record, strict=strict),
        "reason": record.reason,
        "ending": record.ending,
        "started": record.run.get("clock", {}).get("utc"),
        "seconds": round(record.seconds, 3),
        "git": record.run.get("git", {}),
        "selected": [stage.name for stage in record.stages if stage.selected],
        "damage": list(record.damage),
        "stages": [_stage(stage) for stage in record.stages],
    }


def _stage(stage: StageRecord) -> dict[str, Any]:
    return {
        "name": stage.name,
        "needs": list(stage.needs),
        "selected": stage.selected,
        "status": stage.status.value if stage.status else None,
        "reason": stage.reason,
        "seconds": _rounded(stage.seconds),
        "steps": [_step(step) for step in stage.steps],
    }


def _step(step: StepRecord) -> dict[str, Any]:
    return {
        "id": step.id,
        "uses": step.uses,
        "optional": step.optional,
        "state": step.state,
        "status": step.status.value if step.status else None,
        "reason": step.reason,
        "seconds": _rounded(step.seconds),
        "taken_from": step.taken_from or None,
        "log": f"{step.stage}/{step.id}.log" if step.began_ns is not None else None,
        "evidence": dict(step.evidence),
        "outputs": dict(step.outputs),
        "findings": [dict(finding) for finding in step.findings],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
