"""The view of a run while it works: a panel that is redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.report.material import clean
from harness.report.progress import left
from harness.report.state import LiveState
from harness.score.show import show

HEARTBEAT_S = 5.0  # of a line in which nothing changed but the figures


def renderable(state: LiveState, hint: str = "") -> RenderableType:
    """One snapshot as a block of a terminal, with a hint at its end."""
    figures = Table.grid(padding=(0, 3))
    figures.add_row(*(Text.assemble((f"{name} ", "dim"), (value, "bold")) for name, value in _figures(state)))
    lists = Table.grid(padding=(0, 1))
    lists.add_column(style="dim", no_wrap=True)
    lists.add_column(overflow="fold")
    for name, items, style in (("faults", state.faults, "red"), ("alerts", state.alerts, "yellow"), ("actions", state.actions, "cyan")):
        lists.add_row(name, Text(", ".join(clean(i) for i in items) or "none", style=style if items else "dim"))
    parts: list[RenderableType] = [_head(state), figures, lists]
    if state.run_length_s > 0:
        bar = Table.grid()  # a bar by itself ends without a line break
        bar.add_row(ProgressBar(total=state.run_length_s, completed=min(state.run_elapsed_s, state.run_length_s), width=60))
        parts.insert(1, bar)
    if hint:
        parts.append(Text(hint, style="dim"))
    return Group(*parts)


def _head(state: LiveState) -> Text:
    head = Text.assemble((clean(state.scenario), "bold"), "  ", (state.phase, "bold blue"))
    if state.phase_length_s > 0:
        head.append(f"  {state.phase_elapsed_s:.0f} of {state.phase_length_s:.0f}s", style="dim")
    if (time := remaining(state)) is not None:
        head.append(f"  {time}", style="dim")
    if state.note:
        head.append(f"  {clean(state.note)}", style="italic")
    return head


def remaining(state: LiveState) -> str | None:
    """How long the phases still take, by plan; what comes after them - healing, proof, judging - mostly takes some seconds more."""
    left_s = state.run_length_s - state.run_elapsed_s
    if state.run_length_s <= 0 or left_s <= 0:
        return None
    return left(left_s)


def _figures(state: LiveState) -> list[tuple[str, str]]:
    return [
        ("offered", _or_none(state.offered_per_s, "per_s")),
        ("delivered", _or_none(state.delivered_per_s, "per_s")),
        ("p95", _or_none(state.latency_s_p95, "s")),
        ("errors", _or_none(state.errors_ratio, "ratio")),
    ]


def _or_none(value: float | None, unit: str) -> str:
    return "-" if value is None else show(value, unit)


def line(state: LiveState) -> str:
    """One snapshot as one ASCII line."""
    parts = [f"[{state.run_elapsed_s:6.1f}s] {state.phase}"]
    if state.run_length_s > 0:
        parts += [f"{name} {value}" for name, value in _figures(state)]
    if (time := remaining(state)) is not None:
        parts.append(time)
    parts += [f"{name}: {', '.join(items)}" for name, items in _lists(state) if items]
    if state.note:
        parts.append(state.note)
    return clean(" | ".join(parts)).encode("ascii", "backslashreplace").decode()


def _lists(state: LiveState) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (("faults", state.faults), ("alerts", state.alerts), ("actions", state.actions))


class Lines:
    """Which snapshots deserve a line: every change of phase, faults, alerts, actions or note, and a heartbeat in between."""

    def __init__(self, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._heartbeat_s = heartbeat_s
        self._last: LiveState | None = None

    def feed(self, state: LiveState) -> str | None:
        """The line to print, or None."""
        last = self._last
        if last is not None and _key(last) == _key(state) and state.run_elapsed_s - last.run_elapsed_s < self._heartbeat_s:
            return None
        self._last = state
        return line(state)


def _key(state: LiveState) -> tuple[object, ...]:
    return (state.phase, state.note, *_lists(state))


class LiveView:
    """Shows snapshots on standard error, so that standard output stays for results. With `quiet`, shows nothing."""

    def __init__(self, scenario: str, *, quiet: bool = False, hint: str = "", console: Console | None = None) -> None:
        """`hint`: what a person at the terminal can do."""
        self._console = console or Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._hint = hint
        self._scenario = scenario
        self._lines = Lines()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if not self._quiet and self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        elif not self._quiet:
            self._print(f"run: {clean(self._scenario)}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    def update(self, state: LiveState) -> None:
        """Show a snapshot."""
        if self._quiet:
            return
        if self._live is not None:
            self._live.update(renderable(state, self._hint), refresh=True)
            return
        text = self._lines.feed(state)
        if text is not None:
            self._print(text)

    def stop(self) -> None:
        """Leave the terminal as it was; idempotent."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
