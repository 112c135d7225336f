"""The game day on a terminal: the same document as the master's page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.report.live import LiveView, renderable
from harness.report.material import clean
from harness.report.state import LiveState

LATEST = 6  # of each list


class TerminalView(LiveView):
    """Shows the run as ever, and beside it the faults with what they wait for, and what people said."""

    def __init__(self, scenario: str, *, hint: str = "", quiet: bool = False, console: Console | None = None) -> None:
        super().__init__(scenario, hint=hint, quiet=quiet, console=console)
        self._told: set[str] = set()

    def show(self, state: LiveState, document: Mapping[str, Any]) -> None:
        """One snapshot."""
        if self._quiet:
            return
        if self._live is not None:
            self._live.update(Group(renderable(state), _table(document), Text(self._hint, style="dim")), refresh=True)
            return
        self.update(state)
        for text in lines(document):
            if text not in self._told:
                self._told.add(text)
                self._print(text)


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """What is worth a line once: decisions that are wanted, and what people said."""
    yield from (f"fault {f['id']}: {f['status']}" for f in document["faults"] if f["status"] not in ("planned",))
    yield from (_said(entry) for entry in document["said"])


def _table(document: Mapping[str, Any]) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for fault in document["faults"]:
        waits = fault["status"] == "waits for you"
        text = f"{fault['id']}: {fault['type']} on {fault['target']}: {fault['status']}"
        table.add_row("decide" if waits else "fault", Text(clean(text), style="bold yellow" if waits else ""))
    for entry in document["said"][-LATEST:]:
        table.add_row("people", Text(clean(_said(entry))))
    return table


def _said(entry: Mapping[str, Any]) -> str:
    what = f"{entry['service']}/{entry['fault_kind']}" if entry.get("service") else entry.get("fault", "")
    return clean(
        " ".join(filter(None, (f"[{entry['at_s']:.1f}s] {entry['by']}: {entry['do']}", what, entry.get("text") or entry.get("reason"))))
    )
