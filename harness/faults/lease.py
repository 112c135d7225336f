"""The lease of a run: faults are held under it, and a watchdog honours it whatever becomes of the harness."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from harness.faults.base import Undo
from harness.faults.cleanup import remove_directory
from harness.faults.guard import Guard
from harness.faults.lease_files import LeaseError, LeaseFiles
from harness.record.clock import Clock


class Lease:
    """Taken before anything is started, released after everything is stopped."""

    def __init__(self, files: LeaseFiles, guard: Guard) -> None:
        self._files = files
        self._guard = guard

    @classmethod
    def take(cls, run_id: str, work_dir: Path, run_dir: Path | None, clock: Clock) -> Self:
        """Make `work_dir` (`…/gauntlet-<run id>`) and start its watchdog, which notes in `run_dir` what it does. Raises LeaseError."""
        files = LeaseFiles.create(run_id, work_dir, run_dir)
        try:
            return cls(files, Guard.start(files.holder.work_dir, clock))
        except LeaseError:
            files.close()
            remove_directory(files.holder.work_dir, clock)
            raise

    @property
    def watchdog_pid(self) -> int:
        """Of the process that would clean up after us."""
        return self._guard.pid

    def hold(self, fault_id: str, undo: Sequence[Undo]) -> None:
        """Before a fault is injected: note how it is taken back."""
        self._files.hold(fault_id, undo)

    def let_go(self, fault_id: str) -> None:
        """After a fault is proved gone: nothing of it has to be taken back any more."""
        self._files.let_go(fault_id)

    def beat(self) -> None:
        """Say that the harness does not hang; called by the loop that plays faults, as often as it likes."""
        self._guard.beat()

    def take_back(self) -> None:
        """Let the watchdog take back, beside us, what is held and not yet proved gone: for a verb that hangs while somebody waits."""
        self._guard.take_back()

    def alive(self) -> bool:
        """False once the watchdog is dead: the run must then end, because nobody would clean up after it."""
        return self._guard.alive()

    def release(self) -> bool:
        """The run has ended in order: the watchdog takes back what is still held, sweeps, removes the work directory and ends.

        False when it could not; `gauntlet clean` then finds what is left. Idempotent.
        """
        self._files.close()
        return self._guard.finish()
