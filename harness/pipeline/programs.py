"""A program as part of a step: its output goes to the step's log, it is told to stop when the step is, and its last lines are kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.pipeline.step import Context

_POLL_S = 0.1
_KEPT_LINES = 40
_REST_WAIT_S = 2.0


class ProgramError(Exception):
    """It cannot be started."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. `code` is negative for a signal; `stopped`: it was told to, by somebody who interrupted."""

    code: int
    lines: tuple[str, ...]
    stopped: bool

    @property
    def last(self) -> str:
        """Its last lines that say anything, on one."""
        return " / ".join(line.strip() for line in [line for line in self.lines if line.strip()][-3:])[-600:]

    @property
    def how(self) -> str:
        """`exit status 4`, or the signal."""
        return f"exit status {self.code}" if self.code >= 0 else f"killed by {signal.Signals(-self.code).name}"


def carry_out(
    argv: Sequence[str],
    context: Context,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdout: Path | None = None,
    heard: Callable[[str], None] = lambda _: None,
) -> Ended:
    """Run it to its end. `stdout` takes its standard output, rather than the log; `heard` is given each line. Raises ProgramError."""
    with stdout.open("wb") if stdout else nullcontext() as file:
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=cwd or context.root,
                env=_environment({**context.environment, **(environment or {})}),
                stdin=subprocess.DEVNULL,
                stdout=file or subprocess.PIPE,
                stderr=subprocess.PIPE if file else subprocess.STDOUT,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise ProgramError(f"{argv[0]}: {reason}") from error
        stream = process.stderr if file else process.stdout
        assert stream is not None
        kept: deque[str] = deque(maxlen=_KEPT_LINES)
        reader = threading.Thread(target=_copy, args=(stream, kept, heard), daemon=True)
        reader.start()
        stopped = _wait(process, context)
        reader.join(_REST_WAIT_S)  # whoever still holds the pipe is ended with the step
    return Ended(process.returncode, tuple(kept), stopped)


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """With the commands of the environment that runs the pipeline, `gauntlet` among them, whether it has been activated or not.

    Where a worker of pytest-xdist runs it, its programs are none.
    """
    kept = {name: value for name, value in given.items() if not name.startswith("PYTEST_XDIST_")}
    return {**kept, "PATH": os.pathsep.join((given.get("PATH", os.defpath), str(Path(sys.executable).parent)))}


def _wait(process: subprocess.Popen[bytes], context: Context) -> bool:
    told = False
    while True:
        try:
            process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            if context.stopped() and not told:
                told = True
                process.terminate()  # what it started is its own affair, and is ended with the step
        else:
            return told


def _copy(stream: IO[bytes], kept: deque[str], heard: Callable[[str], None]) -> None:
    for line in stream:
        text = line.decode("utf-8", errors="replace")
        sys.stdout.write(text)
        sys.stdout.flush()
        kept.append(text.rstrip("\n"))
        heard(text.rstrip("\n"))
