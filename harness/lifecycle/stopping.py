"""`gauntlet stop RUN`: tells a live run to heal and to end, says when it has done either, and goes to its watchdog where it does not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.faults.clean import holders
from harness.faults.lease_files import Holder, watchdog_of
from harness.record import events as ev
from harness.record import views
from harness.record.clock import NS_PER_S, Clock, SystemClock
from harness.record.events import Event
from harness.record.journal import JournalTail
from harness.record.store import RecordError, RunDirectory
from harness.sweep import Found, same_process

HEALED_S = 2.0  # after which whoever waits is told what is not healed yet
NOTICED_S = 0.6  # after which the watchdog is asked to take back what is injected, where the run has not even noticed: it hangs
WATCHDOG_S = 1.2  # after which it is asked where the run has noticed, and still has something to heal: a verb may hang
ENDED_S = 60.0  # the proof that all is gone, the stack, the operator and the last sweep take their time
_POLL_S = 0.02
SILENT = "the run does not answer"


class StopError(RuntimeError):
    """The run was told, and goes on."""


@dataclass(slots=True)
class _Progress:
    """What a run and its watchdog have written down of its end."""

    directory: RunDirectory
    events: list[Event] = field(default_factory=list)
    _tails: tuple[JournalTail, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._tails = (JournalTail(self.directory.events), JournalTail(self.directory.watchdog_events))

    def look(self) -> None:
        for tail in self._tails:
            self.events.extend(tail.read_new())

    @property
    def noticed(self) -> bool:
        """The run knows that it is to end: nothing is injected any more."""
        return any(event.kind in (ev.INTERRUPTED, ev.ENDED) for event in self.events)

    @property
    def unhealed(self) -> tuple[str, ...]:
        """Faults that were begun and not healed yet."""
        return tuple(f.id for f in views.faults(self.events) if f.healed_ns is None and f.gone_ns is None)

    @property
    def begun(self) -> int:
        """How many faults were."""
        return len(views.faults(self.events))


def stop_run(run: Path, say: Callable[[str], None], clock: Clock | None = None) -> None:
    """Interrupt the run recorded in that directory; says when its faults are healed, and returns once nothing of it runs.

    Raises RecordError when there is no run there, StopError when it has not ended after ENDED_S.
    """
    clock = clock or SystemClock()
    directory = RunDirectory(run.resolve())
    if not directory.run_file.is_file():
        raise RecordError(f"{run}: no run here; `gauntlet list` shows them")
    holder = next((h for h in holders() if h.run_dir == directory.path and h.alive), None)
    if holder is None:
        say(f"{run}: not alive; nothing to stop")
        return
    told_ns = clock.now_ns()
    process = same_process(Found(holder.pid, holder.create_time_s, ""))
    if process is not None:
        process.send_signal(signal.SIGINT)
    progress = _Progress(directory)
    say(f"{run}: {_await_healed(progress, holder, clock, told_ns)}")
    late = bool(progress.unhealed)
    while _goes_on(holder):
        if late:
            progress.look()
            if not progress.unhealed:
                late = False
                say(f"{run}: {_healed(progress, told_ns, clock)}")
        if _since_s(told_ns, clock) > ENDED_S:
            raise StopError(f"{run}: was told to stop {ENDED_S:g} s ago and goes on (pid {holder.pid})")
        clock.sleep(_POLL_S)
    say(f"{run}: ended after {_since_s(told_ns, clock):.1f} s; judge it with: gauntlet judge {run}")


def _await_healed(progress: _Progress, holder: Holder, clock: Clock, told_ns: int) -> str:
    """What is said of the faults: once they are healed, by the run or for it, or after HEALED_S."""
    asked = False
    while True:
        progress.look()
        waited_s = _since_s(told_ns, clock)
        answers = progress.noticed or not _goes_on(holder)
        if not progress.unhealed and (answers or (asked and progress.begun)):
            return _healed(progress, told_ns, clock)
        if waited_s > (WATCHDOG_S if answers else NOTICED_S) and not asked:
            asked = True
            _ask_watchdog(holder)
        if waited_s > HEALED_S:
            if not progress.unhealed:
                return f"nothing is injected; {SILENT}"
            hanging = "" if answers else f"; {SILENT}, and its watchdog was asked to take back its faults"
            return f"NOT HEALED after {HEALED_S:g} s: {', '.join(progress.unhealed)}{hanging}"
        clock.sleep(_POLL_S)


def _healed(progress: _Progress, told_ns: int, clock: Clock) -> str:
    """That nothing is injected any more, since when, and by whom."""
    waited = f"{_since_s(told_ns, clock):.2f} s"
    if not progress.begun:
        return f"nothing is injected ({waited})"
    return f"healed after {waited}" + ("" if progress.noticed else f", by its watchdog; {SILENT}")


def _ask_watchdog(holder: Holder) -> None:
    watchdog = watchdog_of(holder.work_dir)
    if watchdog is not None:
        os.kill(watchdog.pid, signal.SIGUSR1)


def _since_s(t_ns: int, clock: Clock) -> float:
    return (clock.now_ns() - t_ns) / NS_PER_S


def _goes_on(holder: Holder) -> bool:
    """Its work directory goes last, after the last sweep; with the harness killed meanwhile, by the hand of its watchdog."""
    return holder.work_dir.exists()
