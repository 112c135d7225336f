"""The verdict on a terminal, and as plain ASCII where the output is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.gate import Verdict
from harness.record.history import History
from harness.report.delivery import load_lines
from harness.report.material import Material, clean, counts, groups, shown_value, told_once
from harness.report.stories import stories
from harness.scenario.model import Scenario
from harness.score.check import Result, Status

STYLES = {Status.PASS: "bold green", Status.WARN: "bold yellow", Status.INCONCLUSIVE: "bold magenta", Status.FAIL: "bold red"}
ASCII = str.maketrans({"\u2192": "->", "\u2264": "<=", "\u2265": ">=", "\u2013": "-", "\u2014": "-", "\u2026": "...", "\u00b1": "+/-"})


def show(verdict: Verdict, history: History, scenario: Scenario, directory: Path, console: Console | None = None) -> None:
    """Print the summary of one run to standard output."""
    material = Material(verdict, history, scenario)
    out = console or Console(highlight=False, soft_wrap=True)
    if out.is_terminal:
        _rich(material, directory, out)
    else:
        for line in plain_lines(material, directory):
            out.print(line, markup=False, highlight=False, soft_wrap=True)


def plain_lines(material: Material, directory: Path) -> Iterator[str]:
    """The whole summary, ASCII only, one fact a line."""
    for line in _plain(material, directory):
        yield clean(line.translate(ASCII)).encode("ascii", "backslashreplace").decode() if line else ""


def _plain(material: Material, directory: Path) -> Iterator[str]:
    verdict = material.verdict
    yield f"{verdict.status.value}: {material.scenario.name}: {verdict.reason}"
    yield f"checks: {counts(verdict.results)}"
    for title, results in groups(verdict.results):
        yield ""
        yield title
        yield from (f"- {r.status.value} {_facts(r)}: {why}" for r, why in told_once(results))
    told = stories(material)
    if told:
        yield ""
        yield "Faults"
        yield from (f"- {story.line()}" for story in told)
    yield ""
    yield from (f"{name}: {value}" for name, value in _where(material, directory))


def _rich(material: Material, directory: Path, out: Console) -> None:
    verdict = material.verdict
    out.print()
    out.print(
        Text.assemble(
            (f" {verdict.status.value} ", f"reverse {STYLES[verdict.status]}"),
            f"  {material.scenario.name}  ",
            (counts(verdict.results), "dim"),
        )
    )
    out.print(Text(clean(verdict.reason)))
    out.print()
    out.print(_table(verdict.results), soft_wrap=False)
    told = stories(material)
    if told:
        out.print()
        out.print(Text("Faults", style="bold"))
    for story in told:
        out.print(Text.assemble(("● ", STYLES[story.status] if story.status else "dim"), clean(story.line())))
    out.print()
    for name, value in _where(material, directory):
        out.print(Text.assemble((f"{name:<10} ", "dim"), clean(value)))


def _table(results: Sequence[Result]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    table.add_column("check", overflow="fold")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("limit", overflow="fold")
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for title, group in groups(results):
        table.add_row("", Text(title, style="bold"))
        for r, why in told_once(group):
            samples = "" if r.samples is None else str(r.samples)
            cells = (clean(r.name), clean(shown_value(r)), clean(r.limit or ""), samples, why)
            table.add_row(Text(r.status.value, style=STYLES[r.status]), *(Text(cell) for cell in cells))
    return table


def _facts(result: Result) -> str:
    parts = [result.name]
    if result.value is not None:
        parts.append(f"= {shown_value(result)}")
    if result.limit:
        parts.append(f"(limit {result.limit})")
    if result.samples is not None:
        parts.append(f"n={result.samples}")
    return " ".join(parts)


def _where(material: Material, directory: Path) -> Iterator[tuple[str, str]]:
    yield from ((name.lower(), line) for name, line in load_lines(material))
    yield "repeat", material.command
    yield "record", str(directory)
    yield "report", str(directory / "report.html")
