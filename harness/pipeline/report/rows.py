"""One line a step, as tables show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.pipeline import words
from harness.pipeline.reading import PipelineRecord, StepRecord
from harness.report.material import clean
from harness.score.check import Status, severity

WORDS = {words.STARTED: "runs", words.NOT_RUN: "not run", words.STOPPED: "stopped", "": "not run"}


@dataclass(frozen=True, slots=True)
class Row:
    """A step: `shown` is its status, or why it has none; `status` is None there."""

    name: str
    uses: str
    shown: str
    status: Status | None
    took: str
    reason: str
    step: StepRecord
    selected: bool  # its stage was asked for


def rows(record: PipelineRecord) -> list[Row]:
    """In the order of the file."""
    return [_row(step, stage.selected) for stage in record.stages for step in stage.steps]


def by_severity(record: PipelineRecord) -> list[Row]:
    """What stopped it first, then what did not run for it, what passed, what was not asked for; in the order of the file otherwise."""

    def rank(row: Row) -> tuple[bool, int, bool]:
        return not row.selected and not row.step.answered, -severity(row.step.counts_as), not row.step.answered

    return sorted(rows(record), key=rank)


def took(seconds: float | None) -> str:
    """`2.3 s`, `4 min 10 s`."""
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


def _row(step: StepRecord, selected: bool) -> Row:
    shown = step.status.value if step.status else WORDS.get(step.state, step.state)
    optional = " (optional)" if step.optional and step.status not in (None, Status.PASS) else ""
    seconds = "taken" if step.taken_from else took(step.seconds)
    reason = f"{step.reason} (from run {Path(step.taken_from).name})" if step.taken_from else step.reason
    return Row(f"{step.stage}/{step.id}", step.uses, shown + optional, step.status, seconds, clean(reason), step, selected)
