"""A pipeline while it runs: a table that is redrawn on a terminal, plain lines elsewhere. Both on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.pipeline import words
from harness.pipeline.reading import PipelineRecord, StepRecord
from harness.pipeline.report.rows import WORDS, took
from harness.record.clock import NS_PER_S, Clock
from harness.report.material import clean
from harness.report.terminal import ASCII, STYLES

HEARTBEAT_S = 30.0  # of a line that says nothing but that a step still runs
SAID_S = 10.0  # between two lines of what one step says: its log has all of it
_REFRESH_S = 0.25


class LiveView:
    """Shows snapshots of a run. With `quiet`, shows nothing."""

    def __init__(self, name: str, clock: Clock, *, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock
        self._quiet = quiet
        self._name = name
        self._lines = Lines()
        self._live: Live | None = None
        self._next_ns = 0

    def __enter__(self) -> Self:
        if not self._quiet and self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def update(self, record: PipelineRecord) -> None:
        """Show a snapshot."""
        now_ns = self._clock.now_ns()
        if self._quiet:
            return
        if self._live is None:
            for line in self._lines.feed(record, now_ns):
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif now_ns >= self._next_ns:
            self._next_ns = now_ns + int(_REFRESH_S * NS_PER_S)
            self._live.update(table(record, now_ns), refresh=True)


def table(record: PipelineRecord, now_ns: int) -> Table:
    """Every step of the stages that were asked for."""
    found = Table(box=None, pad_edge=False, title=record.pipeline.name, title_justify="left", header_style="dim")
    for name in ("", "step"):
        found.add_column(name, no_wrap=True)
    found.add_column("time", no_wrap=True)
    found.add_column("", overflow="ellipsis", no_wrap=True)
    for stage in record.stages:
        for step in stage.steps if stage.selected or any(one.state for one in stage.steps) else ():
            shown = step.status.value if step.status else "waits" if not step.state else WORDS.get(step.state, step.state)
            style = STYLES[step.status] if step.status else "bold blue" if step.state == words.STARTED else "dim"
            text = step.said if step.state == words.STARTED else step.reason if step.state else ""
            found.add_row(Text(shown, style=style), f"{step.stage}/{step.id}", _time(step, now_ns), Text(clean(text)))
    return found


class Lines:
    """Which changes deserve a line: every step that begins or is over; what it says now and then, and a heartbeat in between."""

    def __init__(self, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._heartbeat_ns, self._said_ns = int(heartbeat_s * NS_PER_S), int(SAID_S * NS_PER_S)
        self._last: dict[str, tuple[str, str]] = {}
        self._told_ns: dict[str, int] = {}

    def feed(self, record: PipelineRecord, now_ns: int) -> list[str]:
        """The lines to print, each whole."""
        found = []
        for step in record.steps:
            if step.state and self._deserves(step, now_ns):
                self._last[step.id] = (step.state, step.said)
                self._told_ns[step.id] = now_ns
                found.append(_line(step, now_ns))
        return found

    def _deserves(self, step: StepRecord, now_ns: int) -> bool:
        state, said = self._last.get(step.id, ("", ""))
        if state != step.state:
            return True
        if step.state != words.STARTED:
            return False
        silent_ns = now_ns - self._told_ns[step.id]
        return silent_ns >= self._heartbeat_ns or (step.said != said and silent_ns >= self._said_ns)


def _line(step: StepRecord, now_ns: int) -> str:
    if step.state == words.STARTED:
        text = f"{_time(step, now_ns)}{f': {step.said}' if step.said else ''}"
    else:
        shown = step.status.value if step.status else WORDS.get(step.state, step.state)
        text = f"{shown}{' (taken)' if step.taken_from else f' in {took(step.seconds)}' if step.seconds is not None else ''}: {step.reason}"
    return clean(f"{step.stage}/{step.id}: {text}".translate(ASCII)).encode("ascii", "backslashreplace").decode()


def _time(step: StepRecord, now_ns: int) -> str:
    """`runs for 12.0 s of about 40.0 s`."""
    if step.state != words.STARTED or step.began_ns is None:
        return took(step.seconds)
    about = f" of about {took(step.about_s)}" if step.about_s is not None else ""
    return f"runs for {took((now_ns - step.began_ns) / NS_PER_S)}{about}"
