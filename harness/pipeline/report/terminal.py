"""The end of a run on a terminal: what stopped it and why comes first."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.pipeline.reading import PipelineRecord
from harness.pipeline.report.rows import Row, by_severity, took
from harness.report.material import clean
from harness.report.terminal import ASCII, STYLES

_MOST_FINDINGS = 5  # of one step; the rest is in the reports


def show(record: PipelineRecord, console: Console | None = None) -> None:
    """Print it to standard output."""
    out = console or Console(highlight=False, soft_wrap=True)
    if not out.is_terminal:
        for line in plain_lines(record):
            out.print(line, markup=False, highlight=False, soft_wrap=True)
        return
    style = STYLES[record.status]
    out.print(Text.assemble((f" {record.status.value} ", f"reverse {style}"), f"  {record.pipeline.name}  ", (took(record.seconds), "dim")))
    out.print(Text(clean(record.reason)))
    out.print()
    out.print(_table(by_severity(record)), soft_wrap=False)
    for line in _findings(record):
        out.print(Text(line))
    for name, value in _where(record):
        out.print(Text.assemble((f"{name:<8} ", "dim"), value))


def plain_lines(record: PipelineRecord) -> Iterator[str]:
    """The whole summary, ASCII only, one fact a line."""
    yield _plain(f"{record.status.value}: {record.pipeline.name}: {record.reason}")
    for row in by_severity(record):
        seconds = f" in {row.took}" if row.took and row.took != "taken" else ""
        yield _plain(f"- {row.shown} {row.name}{seconds}: {row.reason}")
    yield from (_plain(line) for line in _findings(record))
    yield from (_plain(f"{name}: {value}") for name, value in _where(record))


def _plain(text: str) -> str:
    return clean(text.translate(ASCII)).encode("ascii", "backslashreplace").decode()


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "step"):
        table.add_column(name, no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for row in rows:
        table.add_row(Text(row.shown, style=STYLES[row.status] if row.status else "dim"), row.name, row.took, Text(row.reason))
    return table


def _findings(record: PipelineRecord) -> Iterator[str]:
    """Those above a note; how many notes there are is one line, for a step that passed may have hundreds."""
    for step in record.steps:
        told = [finding for finding in step.findings if finding.get("level") != "note"]
        for finding in told[:_MOST_FINDINGS]:
            place = ":".join(str(finding[part]) for part in ("path", "line", "column") if finding.get(part) is not None)
            yield clean(f"{place}: {finding.get('level')}: {finding.get('message')} [{finding.get('rule')}]; {finding.get('instead')}")
        left = {"more findings": len(told[_MOST_FINDINGS:]), "notes": len(step.findings) - len(told)}
        if any(left.values()):
            yield f"{step.stage}/{step.id}: {', '.join(f'{count} {name}' for name, count in left.items() if count)} in its evidence"


def _where(record: PipelineRecord) -> Iterator[tuple[str, str]]:
    git = record.run.get("git", {})
    yield "commit", f"{git.get('sha', 'nogit')}{' (with changes that are not committed)' if git.get('dirty') else ''}"
    yield "record", str(record.path)
    yield "report", str(record.path / "report.html")
