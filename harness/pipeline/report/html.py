"""A run of a pipeline as one self-contained HTML page, in the style of a run's report: no script, nothing from elsewhere."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from harness.pipeline.reading import PipelineRecord, StageRecord
from harness.pipeline.report.rows import Row, by_severity, rows, took
from harness.report.html import SIGNS
from harness.report.material import clean
from harness.score.check import Status

MEANING = {
    Status.PASS: "Everything that was asked for passed.",
    Status.WARN: "It passed, but not without a warning.",
    Status.INCONCLUSIVE: "The run does not tell. This is not a pass.",
    Status.FAIL: "This build may not ship.",
}
_MOST_FINDINGS = 50  # of one step; all of them are in pipeline.json


def render(record: PipelineRecord) -> str:
    """The page. Everything that comes from outside is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("harness.pipeline.report").joinpath("pipeline.html.j2").read_text(encoding="utf-8"))
    page: str = template.render(
        css=files("harness.report").joinpath("templates", "report.css").read_text(encoding="utf-8"),
        name=record.pipeline.name,
        description=clean(record.pipeline.description),
        status=record.status.value,
        sign=SIGNS[record.status],
        meaning=MEANING[record.status],
        reason=clean(record.reason),
        seconds=took(record.seconds),
        ended=record.ending,
        damage=[clean(one) for one in record.damage],
        blocking=[_row(row) for row in by_severity(record) if row.selected and row.step.counts_as is not Status.PASS],
        stages=[_stage(stage) for stage in record.stages],
        bars=_bars(record),
        steps=[_row(row) for row in rows(record)],
        facts=_facts(record),
        definition=json.dumps(record.run.get("pipeline", {}), indent=2, ensure_ascii=False),
    )
    return page.encode("utf-8", errors="replace").decode("utf-8")


def _row(row: Row) -> dict[str, Any]:
    step = row.step
    return {
        "name": row.name,
        "uses": row.uses,
        "shown": row.shown,
        "status": step.counts_as.value if step.status else "none",
        "sign": SIGNS[step.counts_as] if step.status else "·",
        "took": row.took,
        "reason": row.reason,
        "log": f"{step.stage}/{step.id}.log" if step.began_ns is not None else "",
        "evidence": [(clean(name), clean(path)) for name, path in step.evidence.items()],
        "outputs": [(clean(name), clean(value)) for name, value in step.outputs.items()],
        "findings": [{key: clean(value) for key, value in found.items() if value is not None} for found in step.findings[:_MOST_FINDINGS]],
        "more": max(0, len(step.findings) - _MOST_FINDINGS),
    }


def _stage(stage: StageRecord) -> dict[str, Any]:
    status = stage.status
    return {
        "name": stage.name,
        "needs": ", ".join(stage.needs),
        "shown": status.value if status else "not asked for",
        "status": status.value if status else "none",
        "sign": SIGNS[status] if status else "·",
        "took": took(stage.seconds),
        "reason": clean(stage.reason) if status else "",
    }


def _bars(record: PipelineRecord) -> list[dict[str, Any]]:
    """When each step ran, in percent of the whole."""
    ran = [step for step in record.steps if step.began_ns is not None and step.seconds is not None]
    first = min((step.began_ns for step in ran if step.began_ns is not None), default=0)
    whole = max(record.seconds, 0.001)
    return [
        {
            "name": f"{step.stage}/{step.id}",
            "status": step.counts_as.value,
            "left": round(100 * ((step.began_ns or 0) - first) / 1e9 / whole, 2),
            "width": round(max(0.4, 100 * (step.seconds or 0.0) / whole), 2),
            "took": took(step.seconds),
        }
        for step in ran
    ]


def _facts(record: PipelineRecord) -> list[tuple[str, str]]:
    run, git = record.run, record.run.get("git", {})
    rows = [
        ("Repeat it with", f"gauntlet pipeline run {run.get('file')}"),
        ("Command", " ".join(str(part) for part in run.get("argv", ()))),
        ("Started", run.get("clock", {}).get("utc")),
        ("Git", f"{git.get('sha')}{' (with changes that are not committed)' if git.get('dirty') else ''}"),
        ("Root", run.get("root")),
        ("Version", run.get("version")),
        ("Stages asked for", ", ".join(run.get("selected", ()))),
    ]
    return [(name, clean(value)) for name, value in rows if value]
