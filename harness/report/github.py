"""GitHub: a job summary in Markdown, and annotations as workflow commands.

A step's summary is refused beyond 1 MiB, and of a step's annotations ten of each level are shown: the worst come first, and what is left
out is counted. Formats: docs.github.com, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

from harness.report.material import Material, by_severity, clean, counts, shown_value
from harness.report.places import Places
from harness.report.stories import stories
from harness.score.check import Result, Status, severity

SUMMARY_BYTES = 1 << 20
"""Of one step, which may hold several commands."""
NOTES_A_LEVEL = 10
_CUT_BYTES = 400  # room for what says that something was cut
_DETAIL_BYTES = 2_000

Level = Literal["error", "warning", "notice"]
LEVELS: tuple[Level, ...] = ("error", "warning", "notice")
_LEVEL_OF: dict[Status, Level] = {Status.FAIL: "error", Status.INCONCLUSIVE: "error", Status.WARN: "warning", Status.PASS: "notice"}


@dataclass(frozen=True, slots=True)
class Note:
    """One annotation. `file` is seen from the root of the repository; empty where there is none."""

    level: Level
    title: str
    message: str
    file: str = ""
    line: int = 1
    column: int = 1

    def command(self) -> str:
        """As the runner reads it."""
        place = {"file": self.file, "line": self.line, "col": self.column} if self.file else {}
        properties = ",".join(f"{name}={_property(str(value))}" for name, value in {**place, "title": self.title}.items())
        return f"::{self.level} {properties}::{_data(self.message)}"


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the summary: rows between a head and a tail. What is cut are its last rows, or all of it."""

    head: str
    rows: tuple[str, ...] = ()
    tail: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One run: a row of the overview, its blocks (the most important first), its annotations (likewise)."""

    status: Status
    row: str
    blocks: tuple[Block, ...] = field(default=())
    notes: tuple[Note, ...] = field(default=())


def part(material: Material, places: Places, record: str) -> Part:
    """Of a run that was judged. `record` is where it lies."""
    verdict, name = material.verdict, clean(material.scenario.name)
    bad = [result for result in by_severity(verdict.results) if result.status is not Status.PASS]
    good = [result for result in verdict.results if result.status is Status.PASS]
    told = [_cells(story.fault_id, story.line()) for story in stories(material)]
    title = f"## {verdict.status.value}: {_text(name)}\n\n{_text(verdict.reason)}\n\n{_text(counts(verdict.results))}\n"
    blocks = [
        Block(title),
        _table("", ("", "check", "value", "limit", "n", "why"), map(_row, bad)),
        _table("### Faults", ("fault", "what became of it"), told),
        Block(
            f"```\n{clean(material.command).replace('```', '')}\n```\n\nRecord: {_code(record)}; the whole report is its `report.html`.\n"
        ),
        _table("<details><summary>What passed</summary>\n", ("", "check", "value", "limit", "n", "why"), map(_row, good), "\n</details>\n"),
    ]
    notes = [_note(result, name, places) for result in bad]
    if verdict.status is not Status.PASS and not notes:
        notes = [Note(_LEVEL_OF[verdict.status], f"{verdict.status.value}: {name}", verdict.reason, places.path)]
    row = _cells(verdict.status.value, name, counts(verdict.results), verdict.reason)
    return Part(verdict.status, row, tuple(block for block in blocks if block is not None), tuple(notes))


def not_started(file: str, reason: str) -> Part:
    """Of a run without a verdict."""
    block = Block(f"## did not start: {_text(file)}\n\n{_text(reason)}\n")
    note = Note("error", f"did not start: {file}", reason, file)
    return Part(Status.INCONCLUSIVE, _cells("did not start", file, "", reason), (block,), (note,))


def summary(parts: Sequence[Part], room: int = SUMMARY_BYTES) -> str:
    """Markdown of at most `room` bytes: an overview of several runs, then each, the worst first. Empty where not even a word fits."""
    ordered = sorted(parts, key=lambda one: -severity(one.status))
    overview = _table("## Verdicts", ("", "scenario", "checks", "why"), [one.row for one in ordered]) if len(parts) > 1 else None
    return _fit([*([overview] if overview is not None else []), *(block for one in ordered for block in one.blocks)], room)


def workflow_commands(parts: Sequence[Part]) -> list[str]:
    """Workflow commands, the worst run first; of each level as many as are shown, and the last one counts those that are not."""
    ordered = sorted(parts, key=lambda one: -severity(one.status))
    notes = [note for one in ordered for note in one.notes]
    return [command for level in LEVELS for command in _of_level(level, [note for note in notes if note.level == level])]


def _of_level(level: Level, notes: Sequence[Note]) -> Iterator[str]:
    shown = notes if len(notes) <= NOTES_A_LEVEL else notes[: NOTES_A_LEVEL - 1]
    yield from (note.command() for note in shown)
    if len(shown) < len(notes):
        left_out = len(notes) - len(shown)
        yield Note(level, f"{left_out} more", f"{left_out} more of this level are not shown here; the job summary has all").command()


def _fit(blocks: Sequence[Block], room: int) -> str:
    """As much as fits, and how much did not."""
    whole = "\n".join(_whole(block) for block in blocks)
    if _size(whole) <= room:
        return whole
    left, lines, cut_rows, cut_blocks = room - _CUT_BYTES, list[str](), 0, 0
    for block in blocks:
        frame = _size(block.head) + _size(block.tail) + 2
        rows: list[str] = []
        for row in block.rows:
            if frame + _size(row) + 1 > left:
                break
            frame += _size(row) + 1
            rows.append(row)
        if cut_rows or cut_blocks or frame > left or (block.rows and not rows):  # nothing that is less important after a cut
            cut_blocks += 1
            continue
        lines.append(_whole(Block(block.head, tuple(rows), block.tail)))
        left -= frame
        cut_rows += len(block.rows) - len(rows)
    note = f"\n**Cut**: {cut_rows} rows and {cut_blocks} sections did not fit into a job summary of {room} bytes; `report.html` has all.\n"
    return "\n".join([*lines, note]) if _size(note) <= room else ""


def _whole(block: Block) -> str:
    return "\n".join(part for part in (block.head, *block.rows, block.tail) if part)


def _table(head: str, columns: Sequence[str], rows: Iterable[str], tail: str = "\n") -> Block | None:
    found = tuple(rows)
    if not found:
        return None
    lines = [*([head, ""] if head else []), _cells(*columns), "|" + "---|" * len(columns)]
    return Block("\n".join(lines), found, tail)


def _row(result: Result) -> str:
    samples = "" if result.samples is None else str(result.samples)
    return _cells(result.status.value, result.name, shown_value(result), result.limit or "", samples, result.reason)


def _cells(*values: str) -> str:
    return "| " + " | ".join(_text(value) for value in values) + " |"


def _note(result: Result, scenario: str, places: Places) -> Note:
    at = places.position(result.name)
    title = f"{result.status.value}: {scenario}: {result.name}"
    return Note(_LEVEL_OF[result.status], title, result.reason, places.path, at.line, at.column)


def _text(value: str) -> str:
    """One line that is neither markup nor the end of a cell, whatever it holds; no reason needs pages."""
    line = escape(clean(value), quote=False)
    for mark in ("\\", "|", "`", "*", "_", "[", "]"):
        line = line.replace(mark, f"&#{ord(mark)};")
    return line if len(line) <= _DETAIL_BYTES else line[:_DETAIL_BYTES].rpartition(" ")[0] + " …"


def _code(value: str) -> str:
    return f"`{clean(value).replace('`', '')}`"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _size(text: str) -> int:
    return len(text.encode("utf-8", errors="replace"))
