"""The stack that tests ask and break: a process that ends with the session, however that ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.testing.proof import InconclusiveError
from harness.testing.running import end_in_order, environment

_LAST_WORDS = 2_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which stack: that of a scenario, with what its faults need, or else the reference stack."""

    scenario: Path | None = None
    driver: str | None = None
    seed: int = 1


class StackProcess:
    """`python -m harness.lifecycle.served_stack`, ready. Logs of its services lie in `logs`."""

    def __init__(self, wanted: Wanted, place: Path) -> None:
        """Start it in `place` and wait until it is ready. Raises InconclusiveError where it does not start."""
        from harness.lifecycle.parent_death import end_with_parent

        self.wanted = wanted
        self.logs = Path(tempfile.mkdtemp(prefix="pytest-gauntlet-logs-"))
        self.logs.chmod(0o711)
        asked = {"scenario": wanted.scenario and str(wanted.scenario), "driver": wanted.driver, "seed": wanted.seed, "logs": str(self.logs)}
        self._own_log = self.logs / "stack.log"
        with self._own_log.open("wb") as log:
            self._process = subprocess.Popen(
                (sys.executable, "-P", "-m", "harness.lifecycle.served_stack", json.dumps(asked)),
                cwd=place,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent(os.getpid()),  # noqa: PLW1509  # the child calls prctl and getppid alone
            )
        self.broken = False
        try:
            first = self._read()
            if "failed" in first:
                raise InconclusiveError(f"the stack did not start: {first['failed']}")
        except BaseException:
            self.stop()
            raise
        self._ready: Mapping[str, Any] = first["ready"]

    @property
    def entry_url(self) -> str:
        """Where users ask."""
        return str(self._ready["entry_url"])

    @property
    def api_key(self) -> str | None:
        """Credential of the load; None where the entry wants none."""
        key: str | None = self._ready["api_key"]
        return key

    @property
    def keys(self) -> Mapping[str, str]:
        """Of the reference stack `limited_key`, of a client with limits, and `signing_key`, of its tokens; empty of another."""
        return dict(self._ready["keys"])

    @property
    def urls(self) -> Mapping[str, str]:
        """By instance: `retrieval-1` and so on."""
        return dict(self._ready["urls"])

    @property
    def alive(self) -> bool:
        return self._process.poll() is None and not self.broken

    def ask(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """One question to the process, and its answer. Raises InconclusiveError where it has ended."""
        assert self._process.stdin is not None, "started with a pipe"
        try:
            self._process.stdin.write(json.dumps(document).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._gone() from error
        try:
            answer = self._read()
        except BaseException:
            self.broken = True  # an answer that nobody has read would be taken for that to the next question
            raise
        self.broken = answer.get("gone") is False
        return answer

    def stop(self) -> None:
        """Heal, stop, and wait for it; logs go too, unless it did not end in order. Idempotent."""
        end_in_order(self._process)
        if self._process.returncode == 0:
            import shutil

            shutil.rmtree(self.logs, ignore_errors=True)

    def _read(self) -> Mapping[str, Any]:
        assert self._process.stdout is not None, "started with a pipe"
        line = self._process.stdout.readline()
        if not line:
            raise self._gone()
        found: Mapping[str, Any] = json.loads(line)
        return found

    def _gone(self) -> InconclusiveError:
        self._process.wait()
        words = self._own_log.read_bytes()[-_LAST_WORDS:].decode(errors="replace").strip()
        return InconclusiveError(f"the stack's process has ended with {self._process.returncode}; logs: {self.logs}\n{words}")
