"""A report a day: every check is a line of health-DATE.jsonl, and health-DATE.md says how the day was."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.ops.health.judging import StackHealth


def append(directory: Path, health: StackHealth, at: datetime, name: str) -> Path:
    """Add one check to its day (UTC) and write the day's report anew; returns the report. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    day = at.strftime("%Y-%m-%d")
    checks = directory / f"health-{day}.jsonl"
    with checks.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"at": at.isoformat(), "stack": name, **health.to_json()}) + "\n")
    report = directory / f"health-{day}.md"
    part = report.with_name(f".{report.name}.part")
    part.write_text(summary(day, list(_lines(checks))), encoding="utf-8")
    part.replace(report)
    return report


def summary(day: str, checks: list[Mapping[str, Any]]) -> str:
    """The day in Markdown: a row for each service, and when the whole changed."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for check in checks:
        for service in check["services"]:
            rows.setdefault(service["service"], []).append(service)
    text = [f"# Health on {day} (UTC)", "", f"{len(checks)} checks; last: {checks[-1]['status'] if checks else 'none'}.", ""]
    columns = ("service", "healthy", "degraded", "unhealthy", "unknown", "response s: average", "most", "last")
    text += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, found in rows.items():
        counts = [sum(one["status"] == status for one in found) for status in ("healthy", "degraded", "unhealthy", "unknown")]
        took = [one["response_s"] for one in found if one["response_s"] is not None]
        times = f"{sum(took) / len(took):.3f} | {max(took):.3f}" if took else "- | -"
        shares = " | ".join(f"{n} ({n / len(found):.0%})" for n in counts)
        text.append(f"| {name} | {shares} | {times} | {_cell(found[-1]['detail'])} |")
    text += ["", "## Changes", ""]
    before = None
    for check in checks:
        if check["status"] != before:
            why = "; ".join(s["detail"] for s in check["services"] if s["status"] != "healthy")
            text.append(f"- {check['at'][11:19]} {check['status']}{f': {_cell(why)}' if why else ''}")
            before = check["status"]
    return "\n".join(text) + "\n"


def _lines(path: Path) -> Iterable[Mapping[str, Any]]:
    """Lines that are whole; one that a crash cut says nothing."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
