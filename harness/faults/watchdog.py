"""`python -m harness.faults.watchdog --work-dir=DIR`: outlives the harness and cleans up after it.

Its standard input is a pipe whose only writer is the harness: a heartbeat byte every second, FINISH at a clean end. End of file without
FINISH means that the harness is dead, by whatever cause, and is seen at once: faults are taken back, every process of the run is ended, its
directory is removed. No heartbeat for HEARTBEAT_TTL_S means that the harness hangs: faults are taken back, the stack is left to it. So
they are when somebody in a hurry asks for it: the harness by TAKE_BACK, anybody else by SIGUSR1.
After FINISH it makes the same sweep, which then finds nothing, or says what it found: the leak check of every run.

It works from the lease alone, writes `events-watchdog.jsonl`, and has a session of its own: Ctrl-C at the terminal does not reach it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.faults.cleanup import TornDown, tear_down, undo_outstanding
from harness.faults.lease_files import Holder, outstanding, read_holder, write_watchdog
from harness.faults.undo import Undone
from harness.record.clock import NS_PER_S, Clock, SystemClock
from harness.record.events import FAULT, WATCHDOG, Event
from harness.record.journal import Journal, JournalError
from harness.record.store import RunDirectory
from harness.sweep import identify

BEAT = b"."
FINISH = b"q"
TAKE_BACK = b"!"
SIGNALLED = bytes([signal.SIGUSR1])
HEARTBEAT_TTL_S = 10.0


class Notes:
    """Writes events where it can: a record that cannot be written must not keep faults in place."""

    def __init__(self, run_dir: Path | None, clock: Clock) -> None:
        self._clock = clock
        self._journal: Journal | None = None
        if run_dir is None:
            return
        with contextlib.suppress(OSError):  # the run directory may be gone; the leases still have to be honoured
            self._journal = Journal(RunDirectory(run_dir).watchdog_events)

    def write(self, kind: str, data: Mapping[str, Any]) -> None:
        """Append one event of truth."""
        if self._journal is None:
            return
        try:
            self._journal.append(Event(self._clock.now_ns(), kind, "truth", data))
        except (OSError, JournalError):
            self._journal = None


class Watchdog:
    """Waits for the end of one harness."""

    def __init__(self, holder: Holder, clock: Clock, notes: Notes, ttl_s: float) -> None:
        self._holder = holder
        self._clock = clock
        self._notes = notes
        self._ttl_s = ttl_s
        self._undone: set[str] = set()  # while the harness hung

    def watch(self, heartbeat: int, alarm: int | None = None) -> None:
        """Return after the harness has ended, in whatever way, and everything is cleaned up. A byte in `alarm` is a signal that arrived."""
        self._notes.write(WATCHDOG, {"state": "started", "pid": os.getpid()})
        since_ns = self._clock.now_ns()  # the last heartbeat, or the last look at what a silent harness has injected
        while True:
            silent_s = (self._clock.now_ns() - since_ns) / NS_PER_S
            readable, _, _ = select.select([heartbeat, *(() if alarm is None else (alarm,))], [], [], max(0.0, self._ttl_s - silent_s))
            if not readable:
                self._harness_hangs()
                since_ns = self._clock.now_ns()
            if alarm is not None and alarm in readable and SIGNALLED in os.read(alarm, 4096):
                self._asked("by a signal")
            if heartbeat not in readable:
                continue
            if not (said := os.read(heartbeat, 4096)):
                return self._harness_died()
            if FINISH in said:
                return self._harness_finished()
            if TAKE_BACK in said:
                self._asked("by the harness, where healing takes too long")
            since_ns = self._clock.now_ns()

    def _harness_hangs(self) -> None:
        if set(outstanding(self._holder.work_dir)) <= self._undone:
            return
        self._notes.write(WATCHDOG, {"state": "took_over", "detail": f"no heartbeat for {self._ttl_s:g} s; taking back faults"})
        self._undone |= set(self._take_back())

    def _asked(self, detail: str) -> None:
        """Take back what is there now, although the harness may still be healing it itself: it will notice that it has been done."""
        if not outstanding(self._holder.work_dir):
            return
        self._notes.write(WATCHDOG, {"state": "took_back", "detail": f"asked {detail}"})
        self._take_back()

    def _harness_died(self) -> None:
        self._notes.write(WATCHDOG, {"state": "took_over", "detail": "the harness is gone; taking back faults and ending the run"})
        undone = self._take_back()
        torn_down = tear_down(self._holder, self._clock)
        for fault_id in undone:
            self._prove(fault_id, torn_down)
        self._notes.write(WATCHDOG, {"state": "finished", "ended": list(torn_down.ended), "left": list(torn_down.left)})

    def _harness_finished(self) -> None:
        self._take_back()
        torn_down = tear_down(self._holder, self._clock, spare=(self._holder.pid,))
        self._notes.write(WATCHDOG, {"state": "finished", "ended": list(torn_down.ended), "left": list(torn_down.left)})

    def _take_back(self) -> dict[str, list[Undone]]:
        """Undo what is outstanding, the latest first, each step in the record before it is taken."""
        for fault_id in reversed([f for f in outstanding(self._holder.work_dir) if f not in self._undone]):
            self._notes.write(FAULT, {"id": fault_id, "step": "heal_intended", "by": "watchdog"})
        undone = undo_outstanding(self._holder.work_dir, skip=self._undone)
        for fault_id, entries in undone.items():
            failed = [f"{entry.op}: {entry.detail}" for entry in entries if not entry.ok]
            if failed:
                self._notes.write(FAULT, {"id": fault_id, "step": "failed", "by": "watchdog", "reason": "; ".join(failed)})
            elif entries:
                self._notes.write(FAULT, _healed(fault_id, [entry.detail for entry in entries]))
        return undone

    def _prove(self, fault_id: str, torn_down: TornDown) -> None:
        """A stack that is gone holds no fault; one that resists may."""
        if torn_down.complete:
            self._notes.write(FAULT, _healed(fault_id, ["the stack was ended"]))
            evidence = {"processes_left": 0, "work_dir_left": False}
            self._notes.write(FAULT, {"id": fault_id, "step": "gone", "by": "watchdog", "evidence": evidence})
        else:
            reason = f"left behind: {', '.join(torn_down.left)}"
            self._notes.write(FAULT, {"id": fault_id, "step": "not_gone", "by": "watchdog", "reason": reason})


def _healed(fault_id: str, how: list[str]) -> dict[str, Any]:
    return {"id": fault_id, "step": "healed", "by": "watchdog", "evidence": {"undone": how}}


def main(argv: Sequence[str] | None = None) -> int:
    """0 after a clean-up, 2 when there is no lease to watch."""
    parser = argparse.ArgumentParser(prog="python -m harness.faults.watchdog", description="cleans up after a harness that died")
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument("--ttl", type=float, default=HEARTBEAT_TTL_S, help="seconds without a heartbeat after which faults are taken back")
    options = parser.parse_args(argv)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever stops a run by signal must not stop its clean-up too
    holder, me = read_holder(options.work_dir), identify(os.getpid())
    if holder is None or me is None:
        return 2
    alarm = _alarm()
    write_watchdog(options.work_dir, me)
    clock = SystemClock()
    Watchdog(holder, clock, Notes(holder.run_dir, clock), options.ttl).watch(0, alarm)
    return 0


def _alarm() -> int:
    """A descriptor in which SIGNALLED can be read once SIGUSR1 has arrived, from here on."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGUSR1, lambda *_: None)  # its number is in the pipe already
    return read_end


if __name__ == "__main__":
    raise SystemExit(main())
