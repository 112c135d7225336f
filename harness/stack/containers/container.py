"""One container from its creation to its end: what runs an instance where the stack is made of containers."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from harness.stack.base import Limits, StackError
from harness.stack.child import log_tail
from harness.stack.containers.api import EngineApi, EngineError
from harness.stack.ports import LOOPBACK

CPU_PERIOD_US = 100_000
END_WAIT_S = 10.0
MOST_PIDS = 256
_LOG = {"Type": "json-file", "Config": {"max-size": "50m", "max-file": "1"}}
_GONE, _ALREADY = 404, 409
_NOT_STARTED = 304


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of this machine (an absolute path), or a volume by its name, at a place in the container."""

    source: str
    target: str
    read_only: bool = True

    def to_json(self) -> dict[str, Any]:
        kind = "bind" if self.source.startswith("/") else "volume"
        return {"Type": kind, "Source": self.source, "Target": self.target, "ReadOnly": self.read_only}


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What to create. `published` maps ports of the container to ports of this machine's loopback; `user` None: the image's."""

    name: str
    host: str  # under which its peers in the network find it
    image: str
    labels: Mapping[str, str]
    network: str
    limits: Limits
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None  # instead of the image's
    environment: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[int, int] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    aliases: tuple[str, ...] = ()  # further names in the network
    user: str | None = None
    directory: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The body of the engine's `containers/create`: nothing it does not need, no rights to get more."""
        return {
            "Image": self.image,
            "Hostname": self.host,
            "Cmd": list(self.command) or None,
            **({"Entrypoint": list(self.entrypoint)} if self.entrypoint is not None else {}),
            "Env": [f"{name}={value}" for name, value in self.environment.items()],
            "Labels": dict(self.labels),
            "ExposedPorts": {f"{port}/tcp": {} for port in self.published},
            "Healthcheck": {"Test": ["NONE"]},  # whoever starts it polls for readiness; a process every few seconds would cost the stack
            **({"User": self.user} if self.user else {}),
            **({"WorkingDir": self.directory} if self.directory else {}),
            "HostConfig": {
                "NetworkMode": self.network,
                # a name without a dot is one of this network or none: asking name servers that cannot be reached takes ten seconds
                "DnsOptions": ["ndots:0"],
                "PortBindings": {f"{inner}/tcp": [{"HostIp": LOOPBACK, "HostPort": str(outer)}] for inner, outer in self.published.items()},
                "Mounts": [mount.to_json() for mount in self.mounts],
                "Init": True,
                "ReadonlyRootfs": True,
                "Tmpfs": {"/tmp": "rw,nosuid,nodev,size=64m"},
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "PidsLimit": MOST_PIDS,
                "LogConfig": _LOG,
                **limits_json(self.limits),
            },
            "NetworkingConfig": {"EndpointsConfig": {self.network: {"Aliases": [self.host, *self.aliases]}}},
        }


def limits_json(limits: Limits) -> dict[str, int]:
    """As the engine wants them. Memory is without swap, or a limit would only make it slow; 0 and -1 mean none."""
    quota = round(limits.cpus * CPU_PERIOD_US) if limits.cpus is not None else -1
    memory = limits.memory_bytes if limits.memory_bytes is not None else psutil.virtual_memory().total  # an update cannot take one back
    return {"CpuPeriod": CPU_PERIOD_US, "CpuQuota": quota, "Memory": memory, "MemorySwap": memory}


class Container:
    """A started container, its output appended to its log. The `Running` of a stack of containers."""

    def __init__(self, api: EngineApi, spec: ContainerSpec, log: Path) -> None:
        """Create and start it, in the place of one of that name. Raises StackError; then there is none."""
        self._api = api
        self._log = log
        self._ended: str | None = None
        self._over = threading.Event()
        remove(api, spec.name)
        self.id = str(api.call("POST", "/containers/create", spec.to_json(), query={"name": spec.name})["Id"])
        try:
            api.call("POST", f"/containers/{self.id}/start")
            self._init_pid = int(self.inspect()["State"]["Pid"])
        except EngineError as error:
            remove(api, self.id)
            taken = "port is already allocated" in str(error)
            raise StackError(f"{spec.host}: address already in use: {error}" if taken else f"{spec.host}: {error}") from error
        threading.Thread(target=self._follow, name=f"log of {spec.host}", daemon=True).start()

    def inspect(self) -> dict[str, Any]:
        """What the engine says of it. Raises EngineError."""
        found: dict[str, Any] = self._api.call("GET", f"/containers/{self.id}/json")
        return found

    @property
    def pid(self) -> int | None:
        """Of the service itself, not of the init process that it runs under; None where its processes are not seen from here."""
        try:
            if self.id not in Path(f"/proc/{self._init_pid}/cgroup").read_text(encoding="utf-8"):
                return None  # another process: the engine numbers processes otherwise than we do
            children = psutil.Process(self._init_pid).children()
        except (OSError, psutil.Error):
            return None
        return children[0].pid if children else self._init_pid

    @property
    def running(self) -> bool:
        return not self._over.is_set()

    def ended(self) -> str | None:
        return self._ended if self._over.is_set() else None

    def log_tail(self) -> str:
        return log_tail(self._log)

    def set_paused(self, paused: bool) -> None:
        if self.running and bool(self.inspect()["State"]["Paused"]) != paused:  # or the engine would refuse
            self._call("pause" if paused else "unpause", accept=(_ALREADY, _GONE))

    def terminate(self) -> None:
        if self.running:
            stop_signal = self.inspect()["Config"].get("StopSignal") or "SIGTERM"
            self._call("kill", {"signal": stop_signal}, accept=(_ALREADY, _GONE))  # thaws a paused one itself

    def stop(self, grace_s: float) -> None:
        # the engine counts in whole seconds, and kills what is left by then
        self._call("stop", {"t": max(0, round(grace_s))}, accept=(_NOT_STARTED, _GONE), timeout_s=grace_s + END_WAIT_S)
        self._await_end()
        remove(self._api, self.id)

    def kill(self) -> None:
        self._call("kill", accept=(_ALREADY, _GONE))
        self._await_end()

    def signal(self, name: str) -> None:
        """Send a signal to the service; harmless when it has ended. Raises EngineError."""
        self._call("kill", {"signal": name}, accept=(_ALREADY, _GONE))

    def limit(self, limits: Limits) -> None:
        """Bound what it may use, from now on. Raises EngineError."""
        self._api.call("POST", f"/containers/{self.id}/update", limits_json(limits))

    def _call(self, verb: str, query: Mapping[str, Any] | None = None, accept: tuple[int, ...] = (), timeout_s: float = END_WAIT_S) -> None:
        self._api.call("POST", f"/containers/{self.id}/{verb}", query=query, accept=accept, timeout_s=timeout_s)

    def _await_end(self) -> None:
        if not self._over.wait(END_WAIT_S):
            raise StackError(f"container {self.id[:12]} survives SIGKILL")

    def _follow(self) -> None:
        """Copy its output until it has ended, and find out how. A stream that breaks off (an engine restarted) is taken up again."""
        tail = "all"
        with self._log.open("ab", buffering=0) as log:
            while self._ended is None:
                try:
                    options = {"follow": True, "stdout": True, "stderr": True, "tail": tail}
                    for piece in self._api.output(f"/containers/{self.id}/logs", options):
                        log.write(piece)
                    self._ended = _end(self.inspect()["State"])
                except EngineError as error:
                    self._ended = "removed" if error.status == _GONE else str(error)
                tail = "0"
        self._over.set()


def remove(api: EngineApi, container: str) -> None:
    """Remove a container by name or id, whatever it does; harmless when there is none. Raises EngineError."""
    api.call("DELETE", f"/containers/{container}", query={"force": True, "v": True}, accept=(_GONE, _ALREADY))


def _end(state: Mapping[str, Any]) -> str | None:
    """As of a process; None while it runs."""
    if state["Running"]:
        return None
    status = int(state["ExitCode"])
    if status <= 128 or status - 128 not in {int(number) for number in signal.Signals}:
        return f"exit status {status}" + (f" ({state['Error']})" if state.get("Error") else "")
    return f"killed by {signal.Signals(status - 128).name}" + (" (out of memory)" if state.get("OOMKilled") else "")
