"""One child process and its descendants: start, pause, stop, kill, and how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.stack.base import StackError
from harness.sweep import Found, identify, wait_gone

LOG_TAIL_BYTES = 2_000
KILL_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Command:
    """What to start. `env` is the whole environment; `uid` None means the caller's user."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    uid: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM


class Child:
    """A started command, in a session of its own, with both output streams appended to its log. Not for several threads."""

    def __init__(self, command: Command) -> None:
        """Start it. Raises StackError when it cannot be executed."""
        self._command = command
        try:
            with command.log.open("ab") as log:
                self._process = subprocess.Popen(
                    command.argv,
                    env=dict(command.env),
                    cwd=command.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    user=command.uid,
                    group=command.uid,
                    extra_groups=None if command.uid is None else (),
                )
        except OSError as error:
            raise StackError(f"cannot start {command.argv[0]}: {error}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        """A paused process is running, too."""
        return self._process.poll() is None

    def ended(self) -> str | None:
        """How it ended; None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"

    def log_tail(self) -> str:
        """The last lines of its output."""
        return log_tail(self._command.log)

    def identities(self) -> list[Found]:
        """The process and its descendants."""
        return [found for process in self._tree() if (found := identify(process.pid)) is not None]

    def set_paused(self, paused: bool) -> None:
        """Freeze or thaw the whole tree: from the root when freezing, so that it gets no new children meanwhile."""
        if paused:
            self._send(signal.SIGSTOP)
            _signal_all(self._tree(), signal.SIGSTOP)
        else:
            _signal_all(reversed(self._tree()), signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end; a paused one hears it too."""
        if self.running:
            self._send(self._command.stop_signal)
            self.set_paused(False)

    def stop(self, grace_s: float) -> None:
        """Ask it to end, and kill what is left of its tree after `grace_s`. Raises StackError when even that fails."""
        tree = self._tree()
        self.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        self._kill(tree)

    def kill(self) -> None:
        """End the whole tree at once. Raises StackError when something survives."""
        self._send(signal.SIGSTOP)  # frozen, it cannot have another child between the listing and the end
        self._kill(self._tree())

    def _kill(self, tree: list[psutil.Process]) -> None:
        _signal_all(tree, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(KILL_WAIT_S)
        left = wait_gone(tree, KILL_WAIT_S)
        if left or self.running:
            raise StackError(f"processes {[p.pid for p in left] or [self.pid]} of {self._command.argv[0]} survive SIGKILL")

    def _tree(self) -> list[psutil.Process]:
        """Root first; empty once the root was reaped."""
        if not self.running:
            return []
        try:
            root = psutil.Process(self.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)  # does nothing once it was reaped


def log_tail(log: Path) -> str:
    """The last lines of a log file; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _signal_all(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
