"""The client report, for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.material import clean
from harness.report.terminal import STYLES
from harness.score.clients import Caller, ClientReport
from harness.score.clients_rules import AMPLIFICATION, counted


def show(report: ClientReport, console: Console | None = None) -> None:
    """Print it: a table where somebody looks at it, plain lines elsewhere."""
    out = console or Console(highlight=False)
    if not out.is_terminal:
        for line in lines(report):
            out.print(line, markup=False, soft_wrap=True)
        return
    out.print(Text.assemble((f" {report.status.value} ", f"reverse {STYLES[report.status]}"), f"  {clean(report.reason)}"))
    if report.findings:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("", "finding", "caller", "times", "what"):
            table.add_column(name, overflow="fold")
        for f in report.findings:
            cells = (f.code, clean(f.caller), f"{f.count} of {f.of}", clean(f.what))
            table.add_row(Text(f.level.value, style=STYLES[f.level]), *(Text(cell) for cell in cells))
            for line in f.evidence:
                table.add_row("", "", "", "", Text(clean(line), style="dim"))
        out.print(table)
    for caller in report.callers:
        out.print(Text(_figures(caller)))
    out.print(Text(_tried(report), style="dim"))


def lines(report: ClientReport) -> Iterator[str]:
    """The report as plain text."""
    yield f"{report.status.value}: {clean(report.reason)}"
    for f in report.findings:
        yield f"- {f.level.value} {f.code}: {clean(f.caller)}, {f.count} of {f.of} times: {clean(f.what)}"
        yield from (f"    {clean(line)}" for line in f.evidence)
    yield from (_figures(caller) for caller in report.callers)
    yield from (f"missing: {clean(reason)}" for reason in report.missing)
    yield _tried(report)


def _figures(caller: Caller) -> str:
    outcomes = ", ".join(f"{count} {name}" for name, count in caller.outcomes.items())
    parts = [
        f"{clean(caller.name)}: {counted(caller.attempts, 'attempt')} in {counted(caller.calls, 'call')} ({outcomes or 'none told apart'})"
    ]
    if caller.attempts_per_troubled_call_mean is not None:
        mean, most = caller.attempts_per_troubled_call_mean, caller.attempts_per_call_max
        parts.append(f"{mean:.3g} attempts a call that met trouble, {most} at most")
    if caller.retry_after_honoured_share is not None:
        parts.append(f"Retry-After kept {caller.retry_after_honoured_share:.0%} of {counted(caller.retry_after_told, 'time')}")
    if caller.unattributed:
        parts.append(f"{counted(caller.unattributed, 'attempt')} not graded: equal bodies side by side, and no trace id")
    return "; ".join(parts)


def _tried(report: ClientReport) -> str:
    """What the journal could show at all: what was never tried is not in order for that."""
    tried = [f"{code} {count}" for code, count in report.checked.items() if count and code != AMPLIFICATION]
    untried = [code for code, count in report.checked.items() if not count]
    told = f"occasions: {', '.join(tried) or 'none'}"
    return f"{told}; never tried: {', '.join(untried)}" if untried else told
