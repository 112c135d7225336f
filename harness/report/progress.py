"""How far a command has come that takes a while: a bar on a terminal, a plain line now and then elsewhere. Both on standard error."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich import progress as bars
from rich.console import Console

from harness.record.clock import NS_PER_S, Clock, SystemClock
from harness.record.progress import UNTOLD, Progress
from harness.report.material import clean

QUIET_S = 2.0  # what is over by then says nothing
HEARTBEAT_S = 10.0  # between two plain lines
_TICK_S = 0.25


def left(left_s: float) -> str:
    """`about 40s left`."""
    return f"about {left_s:.0f}s left" if left_s < 120 else f"about {left_s / 60:.0f} min left"


@dataclass(slots=True)
class Stage:
    """One stage of the work, in a unit of its own. `total` is 0 where nobody knows it; it may be an estimate, and fall short."""

    name: str
    total: int
    began_ns: int
    done: int = 0
    _seen: int = 0
    _seen_ns: int = 0

    def look(self, now_ns: int) -> None:
        """Note when it was that so much was done: between two steps of a slow stage the time that is left runs down."""
        if self.done != self._seen:
            self._seen, self._seen_ns = self.done, now_ns

    @property
    def share(self) -> float | None:
        """What is done of all; None where that is not known, or an estimate has fallen short."""
        return self._seen / self.total if self.total > 0 and self._seen <= self.total else None

    def left_s(self, now_ns: int) -> float | None:
        """What the rest takes if it goes on as it went so far; None as long as there is nothing to go by."""
        if not self.share:
            return None
        took_ns = self._seen_ns - self.began_ns
        found = (took_ns * (1.0 / self.share - 1.0) - (now_ns - self._seen_ns)) / NS_PER_S
        return found if found > 0.5 else None

    def told(self, now_ns: int) -> str:
        """`42 %, about 8s left`, or for how long it has been going on."""
        parts = [f"{self.share:.0%}"] if self.share is not None else []
        left_s = self.left_s(now_ns)
        parts.append(left(left_s) if left_s is not None else f"for {(now_ns - self.began_ns) / NS_PER_S:.0f}s")
        return ", ".join(parts)


class ProgressView:
    """A `record.progress.Progress` that people can read. Says nothing in the first two seconds, and with `quiet` nothing at all.

    The work only counts; a thread of the view looks at the counts now and then.
    """

    def __init__(self, *, quiet: bool = False, clock: Clock | None = None, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock or SystemClock()
        self._quiet = quiet
        self._quiet_until_ns = self._clock.now_ns() + int(QUIET_S * NS_PER_S)
        self._stage: Stage | None = None
        self._bar: bars.Progress | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if not self._quiet:
            self._thread = threading.Thread(target=self._look_now_and_then, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._bar is not None:
            self._bar.stop()

    @property
    def progress(self) -> Progress:
        """To be told: nobody with `quiet`, so that nothing is estimated for nobody."""
        return UNTOLD if self._quiet else self

    def begin(self, stage: str, total: int, /) -> None:
        self._stage = Stage(stage, total, self._clock.now_ns())

    def advance(self, done: int, /) -> None:
        if self._stage is not None:
            self._stage.done += done

    def say(self, text: str) -> None:
        """A line that stays, on standard error, also with `quiet`."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def look(self) -> None:
        """Show how far it has come, if that is worth it by now."""
        stage, now_ns = self._stage, self._clock.now_ns()
        if self._quiet or stage is None:
            return
        stage.look(now_ns)
        if now_ns < self._quiet_until_ns:
            return
        if self._console.is_terminal:
            self._draw(stage, now_ns)
        else:
            self._quiet_until_ns = now_ns + int(HEARTBEAT_S * NS_PER_S)
            self.say(clean(f"{stage.name}: {stage.told(now_ns)}").encode("ascii", "backslashreplace").decode())

    def _draw(self, stage: Stage, now_ns: int) -> None:
        if self._bar is None:
            columns = (
                bars.TextColumn("{task.description}", markup=False),
                bars.BarColumn(),
                bars.TextColumn("{task.fields[told]}", style="dim"),
            )
            self._bar = bars.Progress(*columns, console=self._console, transient=True, auto_refresh=False, redirect_stdout=False)
            self._bar.add_task("", total=None, told="")
            self._bar.start()
        share = stage.share
        self._bar.update(bars.TaskID(0), description=clean(stage.name), completed=share or 0.0, told=stage.told(now_ns))
        self._bar.tasks[0].total = None if share is None else 1.0  # an update cannot take a total back
        self._bar.refresh()

    def _look_now_and_then(self) -> None:
        while not self._ended.wait(_TICK_S):
            self.look()
