"""Workers of this host as processes of their master, which they do not outlive."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from harness.load.crew import Member
from harness.load.plan import API_KEY_VARIABLE, ENGINE_MODULES
from harness.load.sides import CANDIDATE_KEY_VARIABLE

WORKER_TOKEN_VARIABLE = "GAUNTLET_WORKER_TOKEN"
_END_S = 3.0


class WorkerProcesses:
    """Started together, ended together."""

    def __init__(self, engine: str, count: int, master: str, token: str) -> None:
        environment = {**os.environ, WORKER_TOKEN_VARIABLE: token}
        for key in (API_KEY_VARIABLE, CANDIDATE_KEY_VARIABLE):
            environment.pop(key, None)  # they come with the plan
        argv = [sys.executable, "-P", "-m", ENGINE_MODULES[engine], "--owned-worker", master]
        self._running = [subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE) for _ in range(count)]

    @property
    def any_ended(self) -> bool:
        return any(process.poll() is not None for process in self._running)

    def ended(self, member: Member) -> bool:
        """Is that worker one of these, and over?"""
        own: Sequence[subprocess.Popen[bytes]] = [p for p in self._running if p.pid == member.pid and member.host == socket.gethostname()]
        return any(process.poll() is not None for process in own)

    def end(self) -> None:
        """In order where they have done their work, else by force."""
        for process in self._running:
            with suppress(OSError):
                if process.stdin is not None:
                    process.stdin.close()  # which says that this process is no more
        for process in self._running:
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
