"""`gauntlet stop RUN`: tells a live run to end, and waits until it has healed."""

from __future__ import annotations

import signal
from pathlib import Path

from harness.faults.clean import holders
from harness.faults.lease_files import Holder
from harness.record.clock import NS_PER_S, Clock, SystemClock
from harness.record.store import RecordError, RunDirectory
from harness.sweep import Found, same_process

HEALED_S = 90.0  # a stack that is still starting comes up first; healing, stopping and the last sweep take a few seconds each
_POLL_S = 0.05


class StopError(RuntimeError):
    """The run was told, and goes on."""


def stop_run(run: Path, clock: Clock | None = None) -> str:
    """Interrupt the run recorded in that directory; returns once its faults are healed and nothing of it runs, with what happened.

    Raises RecordError when there is no run there, StopError when it has not ended after HEALED_S.
    """
    clock = clock or SystemClock()
    directory = RunDirectory(run.resolve())
    if not directory.run_file.is_file():
        raise RecordError(f"{run}: no run here; `gauntlet list` shows them")
    holder = next((h for h in holders() if h.run_dir == directory.path and h.alive), None)
    if holder is None:
        return f"{run}: not alive; nothing to stop"
    process = same_process(Found(holder.pid, holder.create_time_s, ""))
    if process is not None:
        process.send_signal(signal.SIGINT)
    deadline_ns = clock.now_ns() + round(HEALED_S * NS_PER_S)
    while _goes_on(holder):
        if clock.now_ns() > deadline_ns:
            raise StopError(f"{run}: was told to stop {HEALED_S:g} s ago and goes on (pid {holder.pid})")
        clock.sleep(_POLL_S)
    return f"{run}: stopped and healed; judge it with: gauntlet judge {run}"


def _goes_on(holder: Holder) -> bool:
    """Its work directory goes last, after the last sweep; with the harness killed meanwhile, by the hand of its watchdog."""
    return holder.work_dir.exists()
