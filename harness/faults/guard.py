"""The harness's side of the watchdog: starts it, feeds it, notices its death, takes leave of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

import harness
from harness.faults.lease_files import LeaseError, watchdog_of
from harness.faults.watchdog import BEAT, FINISH, HEARTBEAT_TTL_S, TAKE_BACK
from harness.record.clock import NS_PER_S, Clock
from harness.sweep import LABEL

START_TIMEOUT_S = 30.0
FINISH_TIMEOUT_S = 60.0
POLL_S = 0.01
BEAT_EVERY_S = 1.0


class Guard:
    """A running watchdog. Its pipe is closed on exec, so that no other child keeps it open: only our death ends it."""

    def __init__(self, process: subprocess.Popen[bytes], clock: Clock) -> None:
        assert process.stdin is not None, "started with a pipe"
        self._process = process
        self._heartbeat = process.stdin
        self._clock = clock
        self._beat_ns: int | None = None
        os.set_blocking(self._heartbeat.fileno(), False)

    @classmethod
    def start(cls, work_dir: Path, clock: Clock, ttl_s: float = HEARTBEAT_TTL_S) -> Self:
        """Start the watchdog of a work directory and wait until it watches. Raises LeaseError with the tail of its log."""
        log = work_dir / "lease" / "watchdog.log"
        # One argument, no label, another directory: the sweeps that end a run's processes must not take the watchdog for one of them.
        argv = [sys.executable, "-m", "harness.faults.watchdog", f"--work-dir={work_dir}", f"--ttl={ttl_s}"]
        with log.open("ab") as errors:
            process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=errors, stderr=errors, cwd="/", env=_environment(), start_new_session=True
            )
        guard = cls(process, clock)
        deadline_ns = clock.now_ns() + round(START_TIMEOUT_S * NS_PER_S)
        while (watching := watchdog_of(work_dir)) is None or watching.pid != process.pid:
            if not guard.alive() or clock.now_ns() > deadline_ns:
                process.kill()
                process.wait()
                raise LeaseError(f"the watchdog did not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
            clock.sleep(POLL_S)
        return guard

    @property
    def pid(self) -> int:
        """Of the watchdog."""
        return self._process.pid

    def alive(self) -> bool:
        """False once the watchdog itself is dead: the run must then end, because nobody would clean up after it."""
        return self._process.poll() is None

    def beat(self) -> None:
        """Say that the harness lives; as often as the caller likes, sent once a second. Never blocks, never raises."""
        now_ns = self._clock.now_ns()
        if self._beat_ns is not None and now_ns - self._beat_ns < BEAT_EVERY_S * NS_PER_S:
            return
        self._beat_ns = now_ns
        self._say(BEAT)

    def take_back(self) -> None:
        """Let the watchdog take back at once what is outstanding. Never blocks, never raises."""
        self._say(TAKE_BACK)

    def finish(self) -> bool:
        """The run ended in order: let the watchdog make its last sweep, which removes the work directory. True when it did."""
        if self._heartbeat.closed:
            return self._process.poll() == 0
        self._say(FINISH)
        try:
            return self._process.wait(FINISH_TIMEOUT_S) == 0
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        finally:
            self._heartbeat.close()

    def _say(self, word: bytes) -> None:
        try:
            os.write(self._heartbeat.fileno(), word)
        except (BrokenPipeError, BlockingIOError):
            return  # dead: `alive` says so; or hung with a full pipe: it has heard enough


def _environment() -> dict[str, str]:
    """Ours, without the run's label, able to import this package from wherever it lies."""
    package = str(Path(harness.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    return {**{k: v for k, v in os.environ.items() if k != LABEL}, "PYTHONPATH": path}
