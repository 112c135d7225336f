"""The game day on a terminal: the same document as the master's page, or the players' where the truth is hidden."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.gameday.asks import Role
from harness.gameday.keyboard import Keyboard
from harness.report.live import LiveView, renderable
from harness.report.material import clean
from harness.report.state import LiveState

LATEST = 6  # of each list


class TerminalView(LiveView):
    """Shows the run as ever, and beside it the faults with what they wait for, what people said, and what is being typed."""

    def __init__(
        self,
        scenario: str,
        look: Callable[[Role], Mapping[str, Any]],
        *,
        hint: str = "",
        quiet: bool = False,
        console: Console | None = None,
    ) -> None:
        """`look` builds what a role is shown now."""
        super().__init__(scenario, hint=hint, quiet=quiet, console=console)
        self.keyboard: Keyboard | None = None
        """Whose line is shown; None where nobody can type."""
        self._look = look
        self._told: set[str] = set()
        self._state = LiveState(scenario, "waiting", note="to begin")

    def show(self, state: LiveState) -> None:
        """One snapshot."""
        self._state = state
        if self._quiet:
            return
        if self._live is None:
            self.update(state)
            for text in lines(self._look("master")):
                if text not in self._told:
                    self._told.add(text)
                    self._print(text)
        self.redraw()

    def redraw(self) -> None:
        """What is shown, anew: a key was typed. From any thread; nothing where lines are printed."""
        live, keyboard = self._live, self.keyboard
        if live is None:
            return
        hidden = keyboard is not None and keyboard.hidden
        document = self._look("players" if hidden else "master")
        state = self._state if not hidden or document["revealed"] else _without_truth(self._state)
        parts = [renderable(state), _table(document, keyboard.chosen if keyboard is not None else "")]
        if keyboard is not None and keyboard.answer:
            parts.append(Text(clean(keyboard.answer), style="bold"))
        if keyboard is not None:
            parts.append(Text(clean(keyboard.prompt), style="cyan"))
        if not hidden:
            parts.append(Text(self._hint, style="dim"))  # whoever reads the master's address is the master
        live.update(Group(*parts), refresh=True)


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """What is worth a line once: decisions that are wanted, and what people said."""
    yield from (f"fault {f['id']}: {f['status']}" for f in document["faults"] if f["status"] not in ("planned",))
    yield from (_said(entry) for entry in document["said"])


def _without_truth(state: LiveState) -> LiveState:
    """As the players see it."""
    return replace(state, scenario="game day", phase="", phase_length_s=0.0, run_length_s=0.0, faults=(), note="the truth is hidden here")


def _table(document: Mapping[str, Any], chosen: str) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for number, fault in enumerate(document.get("faults", ()), start=1):
        waits = fault["status"] == "waits for you"
        text = f"{fault['id']}: {fault['type']} on {fault['target']}: {fault['status']}"
        mark = ">" if fault["id"] == chosen else " "
        table.add_row(f"{mark}{number} {'decide' if waits else 'fault'}", Text(clean(text), style="bold yellow" if waits else ""))
    for entry in document["said"][-LATEST:]:
        table.add_row("people", Text(clean(_said(entry))))
    return table


def _said(entry: Mapping[str, Any]) -> str:
    what = f"{entry['service']}/{entry['fault_kind']}" if entry.get("service") else entry.get("fault", "")
    return clean(
        " ".join(filter(None, (f"[{entry['at_s']:.1f}s] {entry['by']}: {entry['do']}", what, entry.get("text") or entry.get("reason"))))
    )
