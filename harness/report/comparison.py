"""A comparison of two versions: on a terminal, and as a document for other programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.gate import Verdict
from harness.report.material import clean
from harness.report.terminal import ASCII, STYLES
from harness.report.verdict_json import finite
from harness.score.check import Result
from harness.score.compare import Compared, points

SCHEMA = 1


class Side(Protocol):
    """One side, as people know it."""

    @property
    def name(self) -> str: ...

    @property
    def commit(self) -> str: ...

    def to_json(self) -> dict[str, Any]: ...


class Shown(Protocol):
    """What is rendered: `harness.comparing.Comparison`."""

    @property
    def base(self) -> Side: ...

    @property
    def candidate(self) -> Side: ...

    @property
    def anchor(self) -> Side | None: ...

    @property
    def metrics(self) -> tuple[Compared, ...]: ...

    @property
    def verdict(self) -> Verdict: ...

    @property
    def remarks(self) -> tuple[str, ...]: ...


def document(shown: Shown) -> dict[str, Any]:
    """JSON-ready; `checks` have the fields of a verdict's checks and the numbers behind them."""
    found = {
        "schema": SCHEMA,
        "verdict": shown.verdict.status.value,
        "exit_code": shown.verdict.exit_code,
        "reason": shown.verdict.reason,
        "base": shown.base.to_json(),
        "candidate": shown.candidate.to_json(),
        "anchor": shown.anchor.to_json() if shown.anchor else None,
        "checks": [metric.to_json() for metric in shown.metrics],
        "remarks": list(shown.remarks),
    }
    return {name: finite(value) for name, value in found.items()}


def render(shown: Shown) -> bytes:
    """UTF-8 JSON with a final newline."""
    return (json.dumps(document(shown), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def show(shown: Shown, console: Console | None = None) -> None:
    """Print it to standard output; one fact a line where that is no terminal."""
    out = console or Console(highlight=False, soft_wrap=True)
    if not out.is_terminal:
        for line in plain_lines(shown):
            out.print(line, markup=False, highlight=False, soft_wrap=True)
        return
    out.print()
    out.print(
        Text.assemble((f" {shown.verdict.status.value} ", f"reverse {STYLES[shown.verdict.status]}"), f"  {clean(shown.verdict.reason)}")
    )
    out.print()
    out.print(_table(shown.metrics), soft_wrap=False)
    out.print()
    for line in _parties(shown):
        out.print(Text(clean(line), style="dim"))


def plain_lines(shown: Shown) -> Iterator[str]:
    """ASCII only."""
    lines = [f"{shown.verdict.status.value}: {shown.verdict.reason}", *(_line(m.result) for m in shown.metrics), *_parties(shown)]
    for line in lines:
        yield clean(line.translate(ASCII)).encode("ascii", "backslashreplace").decode()


def _line(result: Result) -> str:
    told = f"; {result.evidence[0]}" if result.evidence else ""
    return f"- {result.status.value} {result.name} (limit {result.limit}): {result.reason}{told}"


def _parties(shown: Shown) -> Iterator[str]:
    sides: list[tuple[str, Side | None]] = [("base", shown.base), ("anchor", shown.anchor), ("candidate", shown.candidate)]
    for name, side in sides:
        if side is not None:
            yield f"{name}: {side.name} ({side.commit[:7]})"
    yield from (f"note: {remark}" for remark in shown.remarks)


def _table(metrics: tuple[Compared, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("", "metric", "worse by", "interval", "limit", "n", "why"):
        number = title in ("worse by", "interval", "n")
        table.add_column(title, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for metric in metrics:
        result = metric.result
        table.add_row(
            Text(result.status.value, style=STYLES[result.status]),
            clean(result.name.removeprefix("compare.")),
            "" if metric.effect is None else points(metric.effect),
            "" if metric.interval is None else " to ".join(points(end) for end in metric.interval),
            result.limit or "",
            f"{metric.samples[0]}, {metric.samples[1]}",
            clean("; ".join((result.reason, *result.evidence[:1]))),
        )
    return table
