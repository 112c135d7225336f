"""One container of a project that compose made: looked at and acted on through the engine, whoever starts it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from harness.stack.base import Instance, Limits, Place, StackError
from harness.stack.containers.api import EngineApi, EngineError
from harness.stack.containers.container import CPU_PERIOD_US, limits_json, remove
from harness.stack.ready import Probe, wait_ready

END_WAIT_S = 10.0
RESTART_GRACE_S = 5.0
READY_DEADLINE_S = 60.0
"""A user's own service may take long."""
_NANO = 1_000_000_000
_GONE, _ALREADY, _AS_IT_IS = 404, 409, 304


class ComposedInstance:
    """A container by its id. Its verbs take turns, so that a recovery action and a fault do not start or stop it at the same time."""

    def __init__(self, api: EngineApi, service: str, name: str, url: str, container: str, port_inside: int) -> None:
        """`container` is its name or id, `port_inside` where its peers reach it. Raises EngineError when there is none."""
        self.service = service
        self.name = name
        self.url = url
        self._port_inside = port_inside
        self._api = api
        self._turn = threading.RLock()
        self._pid: int | None = None
        self.id = str(api.call("GET", f"/containers/{container}/json")["Id"])

    def inspect(self) -> dict[str, Any]:
        """What the engine says of it. Raises EngineError."""
        found: dict[str, Any] = self._api.call("GET", f"/containers/{self.id}/json")
        return found

    def describe(self) -> Instance:
        """Itself, for others."""
        return Instance(self.service, self.name, self.url, version="", pid=self.pid, port_inside=self._port_inside)

    @property
    def pid(self) -> int | None:
        """Of its main process as this machine numbers it; None where it does not run, or is not seen from here."""
        if self._pid is None or not self._holds(self._pid):
            self._pid = self._look_for_pid()
        return self._pid

    def place(self) -> Place:
        """Where it runs. Raises StackError when it does not."""
        pid = self.pid
        if pid is None:
            raise StackError(f"{self.name} does not run, or its processes are not seen from here")
        return Place(pid, self.id)

    def ended(self) -> str | None:
        """How it ended; None while it runs."""
        try:
            state = self.inspect()["State"]
        except EngineError as error:
            return str(error)
        if state["Running"] or state.get("Restarting"):
            return None
        return f"exit status {state['ExitCode']}" + (" (out of memory)" if state.get("OOMKilled") else "")

    def kill(self) -> None:
        """End all of it at once; it stays down, whatever its restart policy. Raises StackError."""
        with self._turn:
            self._call("kill")
            self._await_end()

    def stop(self, grace_s: float) -> None:
        """Ask it to end, kill what is left after that. Raises StackError."""
        with self._turn:
            self._thaw()
            self._call("stop", {"t": max(0, round(grace_s))}, accept=(_AS_IT_IS,), timeout_s=grace_s + END_WAIT_S)
            self._await_end()

    def restart(self, probe: Probe) -> None:
        """Whatever state it is in, afterwards it runs afresh and is ready. Raises StackError; what is not ready in time is left running."""
        with self._turn:
            self._thaw()
            self._call("restart", {"t": round(RESTART_GRACE_S)}, timeout_s=RESTART_GRACE_S + END_WAIT_S)
            self.await_ready(probe, READY_DEADLINE_S)

    def await_ready(self, probe: Probe, deadline_s: float, given_up: Probe = lambda: None) -> None:
        """Wait until it is. Raises StackError with the end of its log."""
        wait_ready(self.name, probe, deadline_s, alive=lambda: given_up() or self.ended(), log_tail=self.log_tail)

    def set_paused(self, paused: bool) -> None:
        """Freeze or thaw all of it. Raises StackError."""
        with self._turn:
            if bool(self.inspect()["State"]["Paused"]) != paused:  # or the engine would refuse
                self._call("pause" if paused else "unpause")

    def limit(self, limits: Limits) -> Limits:
        """Bound what it may use, from now on; returns the limits it had. Raises StackError."""
        with self._turn:
            had = self.inspect()["HostConfig"]
            wanted: dict[str, int] = limits_json(limits)
            if had.get("NanoCpus"):  # as the file says it; the engine does not let one be replaced by the other
                cpus = limits.cpus if limits.cpus is not None else psutil.cpu_count() or 1
                wanted = {"NanoCpus": round(cpus * _NANO), "Memory": wanted["Memory"], "MemorySwap": wanted["MemorySwap"]}
            self._api.call("POST", f"/containers/{self.id}/update", wanted)
            return limits_of(had)

    def log_tail(self) -> str:
        """The last lines of its output."""
        try:
            pieces = self._api.output(f"/containers/{self.id}/logs", {"stdout": True, "stderr": True, "tail": "30"})
            return b"".join(pieces).decode("utf-8", errors="replace")
        except EngineError as error:
            return str(error)

    def remove(self) -> None:
        """Harmless when it is gone. Raises EngineError."""
        with self._turn:
            remove(self._api, self.id)

    def _thaw(self) -> None:
        self._call("unpause", accept=(_ALREADY, 500))  # engines before 25 say 500 where it is not paused

    def _call(self, verb: str, query: Mapping[str, Any] | None = None, accept: tuple[int, ...] = (), timeout_s: float = END_WAIT_S) -> None:
        try:
            self._api.call("POST", f"/containers/{self.id}/{verb}", query=query, accept=accept, timeout_s=timeout_s)
        except EngineError as error:
            raise StackError(f"{self.name}: {error}") from error

    def _await_end(self) -> None:
        wait_ready(f"the end of {self.name}", lambda: "it runs" if self.ended() is None else None, END_WAIT_S)

    def _look_for_pid(self) -> int | None:
        try:
            found = self.inspect()
            pid = int(found["State"]["Pid"])
            if not found["State"]["Running"] or not self._holds(pid):
                return None
            children = psutil.Process(pid).children() if found["HostConfig"].get("Init") else []
        except (EngineError, psutil.Error):
            return None
        return children[0].pid if children else pid

    def _holds(self, pid: int) -> bool:
        """Whether that process is this container's, and no other's that was given its number."""
        try:
            return self.id in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
        except OSError:
            return False


def limits_of(host_config: Mapping[str, Any]) -> Limits:
    """What the engine's `HostConfig` allows."""
    nano, quota, period = (int(host_config.get(name) or 0) for name in ("NanoCpus", "CpuQuota", "CpuPeriod"))
    cpus = nano / _NANO if nano else quota / (period or CPU_PERIOD_US) if quota > 0 else None
    return Limits(cpus, int(host_config.get("Memory") or 0) or None)
