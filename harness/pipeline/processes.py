"""Steps as child processes: each in a session of its own, its output in its log, and all of it ended when it is over."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harness.pipeline import answers, remains
from harness.pipeline.child import GRACE_S, SAYS
from harness.pipeline.secrets import Masks
from harness.pipeline.step import StepResult
from harness.score.check import Status
from harness.sweep import identify

_PUMP_WAIT_S = 5.0
_TAIL_BYTES = 4_000


@dataclass(frozen=True, slots=True)
class Task:
    """One step that is to be carried out now. `given` is its `with:`, filled in; `secrets` are values that are masked."""

    kind: str
    module: str
    given: Mapping[str, Any]
    directory: Path
    answer: Path
    log: Path
    root: Path
    outputs: Mapping[str, Mapping[str, str]]
    secrets: tuple[str, ...]
    say: Callable[[str], None]


class StepProcess:
    """A step at work."""

    def __init__(self, task: Task, grace_s: float = GRACE_S) -> None:
        self._task = task
        self._masks = Masks(task.secrets)
        task.directory.mkdir(parents=True)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.pipeline.child"],
            cwd=task.root,
            env={**os.environ, remains.MARK: str(task.directory), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._tell(grace_s)
        self._pump = threading.Thread(target=self._copy, daemon=True)
        self._pump.start()

    def poll(self) -> StepResult | None:
        """Its answer, once it has ended and nothing of it is left; None while it works."""
        if self._process.poll() is None:
            return None
        result = answers.read(self._task.answer) if self._process.returncode == 0 else None
        if result is None:
            self._end_rest()
        self._pump.join(_PUMP_WAIT_S)
        return result or StepResult(Status.INCONCLUSIVE, self._crash())

    def stop(self) -> None:
        """Ask it to stop. It ends within its grace, whatever it does."""
        if self._process.poll() is None:
            self._process.terminate()

    def end(self) -> None:
        """End it and all it started, now."""
        self._end_rest()
        self._process.wait()

    def _tell(self, grace_s: float) -> None:
        task = self._task
        document = {
            "kind": task.kind,
            "module": task.module,
            "with": task.given,
            "directory": str(task.directory),
            "answer": str(task.answer),
            "root": str(task.root),
            "outputs": task.outputs,
            "secrets": task.secrets,
            "engine": os.getpid(),
            "grace_s": grace_s,
        }
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended at once; poll says so
            self._process.stdin.write(json.dumps(document).encode())
            self._process.stdin.close()

    def _copy(self) -> None:
        """Its output into its log, line by line; progress is told as well."""
        stream: IO[bytes] | None = self._process.stdout
        assert stream is not None
        with self._task.log.open("ab") as log:
            for line in stream:
                text = self._masks.text(line.decode("utf-8", errors="replace"))
                if text.startswith(SAYS):
                    text = text.removeprefix(SAYS)
                    self._task.say(text.strip())
                log.write(text.encode("utf-8", errors="replace"))
                log.flush()

    def _end_rest(self) -> None:
        """The tree below it, and whatever carries its mark: what was started by a process that is gone."""
        own = identify(self._process.pid)
        remains.end([*([own] if own else []), *remains.below(self._process.pid), *remains.marked(str(self._task.directory))])

    def _crash(self) -> str:
        code = self._process.returncode
        how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
        last = tail(self._task.log)
        return f"{self._task.kind} crashed ({how}) without an answer{f'; last lines: {last}' if last else ''}"


def tail(log: Path, lines: int = 3) -> str:
    """The last lines of a log, on one."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            found = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return tail_of(found, lines)


def tail_of(lines: list[str], count: int = 3) -> str:
    """The last lines that say anything, on one."""
    return " / ".join(line.strip() for line in [line for line in lines if line.strip()][-count:])[-600:]
