"""The load process as the harness sees it. Never imports Locust: that would patch sockets and threads of the whole process."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from harness.load.plan import API_KEY_VARIABLE, ENGINE_MODULES, LoadPlan
from harness.load.sides import CANDIDATE_KEY_VARIABLE
from harness.record.clock import NS_PER_S, Clock, SystemClock

RUN_ID_VARIABLE = "GAUNTLET_RUN_ID"
_LOG_TAIL_BYTES = 2000
_STOP_S = 8.0  # a stopped load waits 2 s for what is in flight and 2 s for documents to be indexed
_TERM_S = 2.0
_SOURCE = Path(__file__).resolve().parents[2]


class LoadError(RuntimeError):
    """The load process did not do what was asked; the message ends with the tail of its log."""


class LoadProcess:
    """Life of the load process: `start`, `wait_ready`, `begin`, `finish`; `stop` at any time.

    The plan file and the log (`logs/load.log`) go under `work_dir`. The process leads a session of its own, carries the run id in its
    environment, and ends by itself when this one dies.
    """

    def __init__(
        self, plan: LoadPlan, work_dir: Path, api_key: str | None, clock: Clock | None = None, candidate_key: str | None = None
    ) -> None:
        self._plan = plan
        self._work_dir = work_dir
        self._keys = {API_KEY_VARIABLE: api_key, CANDIDATE_KEY_VARIABLE: candidate_key}
        self._clock = clock or SystemClock()
        self._log_file = work_dir / "logs" / "load.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.metrics_port: int | None = None  # known once ready

    @property
    def pid(self) -> int | None:
        """The process id, once started."""
        return self._process.pid if self._process else None

    @property
    def metrics_url(self) -> str:
        """Client-side SLIs. Raises LoadError before the process is ready."""
        if self.metrics_port is None:
            raise self._error("the load process is not ready yet")
        return f"http://127.0.0.1:{self.metrics_port}/metrics"

    def start(self) -> None:
        """Start the process; does not wait for it."""
        if self._process is not None:
            raise self._error("the load process was started before")
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        plan_file = self._work_dir / "load-plan.json"
        plan_file.write_text(self._plan.to_json(), encoding="utf-8")
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", ENGINE_MODULES[self._plan.engine], str(plan_file.resolve())],
                cwd=self._work_dir,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self, within_s: float) -> int:
        """Wait until connections are open; returns the port of the metrics. Raises LoadError, and then nothing is left running."""
        try:
            answer = json.loads(self._first_line(within_s))
        except ValueError as error:
            self.stop()
            raise self._error(f"the load process said something unexpected: {error}") from error
        except LoadError:
            self.stop()
            raise
        self.metrics_port = int(answer["metrics_port"])
        return self.metrics_port

    def begin(self, t0_ns: int) -> None:
        """Let the schedule start at the monotonic time `t0_ns`. Raises LoadError when the process has ended."""
        self._order({"t0_ns": t0_ns})

    def poll(self) -> int | None:
        """The exit code, None while it runs. Raises LoadError when it was never started."""
        return self._running().poll()

    def finish(self, within_s: float) -> int:
        """Wait for the end of the load; stops it when it has not ended in time. Returns the exit code: 0 when all was written."""
        process = self._running()
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.stop()
        self._close()
        return process.returncode

    def stop(self) -> None:
        """End it: in order if it listens, else by force. Idempotent; nothing of it is left afterwards."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            self._end(process)
        self._close()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        try:
            self._order({"stop": True})
            process.wait(_STOP_S)
            return
        except (LoadError, subprocess.TimeoutExpired):
            process.terminate()
        try:
            process.wait(_TERM_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _first_line(self, within_s: float) -> bytes:
        out = _pipe(self._running().stdout)
        deadline_ns = self._clock.now_ns() + int(within_s * NS_PER_S)
        line = b""
        while not line.endswith(b"\n"):
            left_s = (deadline_ns - self._clock.now_ns()) / NS_PER_S
            if left_s <= 0:
                raise self._error(f"the load process was not ready within {within_s:g}s")
            if select.select([out], [], [], left_s)[0]:
                data = os.read(out.fileno(), 4096)
                if not data:
                    raise self._error(f"the load process ended with {self._running().wait()} before it was ready")
                line += data
        return line

    def _order(self, document: dict[str, Any]) -> None:
        stdin = _pipe(self._running().stdin)
        try:
            stdin.write(json.dumps(document).encode() + b"\n")
            stdin.flush()
        except (OSError, ValueError) as error:  # ValueError: the pipe is closed on this side
            raise self._error(f"the load process takes no orders: {error}") from error

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        environment[RUN_ID_VARIABLE] = self._plan.run_id
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_SOURCE), environment.get("PYTHONPATH")]))
        for variable, key in self._keys.items():
            environment.pop(variable, None)
            if key is not None:
                environment[variable] = key
        return environment

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise self._error("the load process was not started")
        return self._process

    def _close(self) -> None:
        process = self._running()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # an order that nobody read any more

    def _error(self, what: str) -> LoadError:
        tail = ""
        if self._log_file.exists():
            with self._log_file.open("rb") as log:
                log.seek(max(0, self._log_file.stat().st_size - _LOG_TAIL_BYTES))
                tail = log.read().decode("utf-8", "replace").strip()
        return LoadError(f"{what}\n{self._log_file}:\n{tail}" if tail else what)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # both were asked for at the start
    return pipe
