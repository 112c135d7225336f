"""What the kernel of this machine says of watched instances that run on it: memory, processors and descriptors of their control groups.

Of an instance on another machine, or in a control group that it shares with who looks, nothing is said. cgroup versions 1 and 2.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from harness.ops.targets import Endpoint

SAMPLES = (
    "container_memory_usage_bytes",
    "container_spec_memory_limit_bytes",
    "container_processes",
    "container_beside_cpu_seconds_total",
    "container_cpu_cfs_throttled_periods_total",
    "container_cpu_cfs_periods_total",
    "container_descriptors_free",
)
"""cAdvisor's names, as far as it has them. `beside` is what others in the group than the instance's own processes have used."""

Samples = list[tuple[str, dict[str, str], float]]
_ROOT = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60


@dataclass(slots=True)
class NodeAgent:
    """Finds the process behind an address once, and again when it has ended."""

    _pids: dict[str, int] = field(default_factory=dict)  # by URL
    _own: Mapping[str, str] = field(default_factory=dict)
    _spent_s: dict[int, float] = field(default_factory=dict)  # by process beside an instance, when it was last seen
    _beside_s: dict[str, float] = field(default_factory=dict)  # by instance: what was seen of it being spent

    def samples(self, endpoints: Iterable[Endpoint]) -> dict[str, Samples]:
        """By instance; those of which nothing is known are left out."""
        self._own = self._own or _groups(os.getpid())
        listed = list(endpoints)
        self._find([e.url for e in listed])
        pids = {e.instance: pid for e in listed if (pid := self._pids.get(e.url)) is not None}
        groups = {instance: _groups(pid) for instance, pid in pids.items()}
        found = {}
        for instance, pid in pids.items():
            memory, cpu = (_folder(groups[instance], self._others(instance, groups), name) for name in ("memory", "cpu"))
            said = [*(self._in_group(instance, memory, pid) if memory else ()), *(_throttled(cpu) if cpu else ()), *_descriptors(pid)]
            if said:
                found[instance] = said
        return found

    def _in_group(self, instance: str, folder: Path, pid: int) -> Samples:
        """Memory of the group, and processor time of those in it that are neither the instance nor its children.

        What one of them had spent before it was seen counts for nothing: the process before a restart has had a life of its own.
        """
        said = _memory(folder)
        try:
            members = {int(line) for line in (folder / "cgroup.procs").read_text(encoding="ascii").split()}
            family = {pid, *(c.pid for c in psutil.Process(pid).children(recursive=True))} if len(members) > 1 else {pid}
        except (OSError, psutil.Error):
            return said
        for other in members - family:
            with suppress(psutil.Error):
                spent_s = sum(psutil.Process(other).cpu_times()[:2])
                grown_s = max(0.0, spent_s - self._spent_s.get(other, spent_s))
                self._spent_s[other] = spent_s
                self._beside_s[instance] = self._beside_s.get(instance, 0.0) + grown_s
        total_s = self._beside_s.get(instance, 0.0)
        return [*said, ("container_processes", {}, float(len(members))), ("container_beside_cpu_seconds_total", {}, total_s)]

    def _others(self, instance: str, groups: Mapping[str, Mapping[str, str]]) -> Mapping[str, set[str]]:
        """Groups that are not the instance's alone, by controller: ours, and those in which another one seems to be (a proxy of ports)."""
        others: dict[str, set[str]] = {name: {path} for name, path in self._own.items()}
        for other, paths in groups.items():
            for name, path in paths.items() if other != instance else ():
                others.setdefault(name, set()).add(path)
        return others

    def _find(self, urls: Iterable[str]) -> None:
        """Looks for listeners only where one is not known: a walk over all sockets is not for every round."""
        unknown = {a: url for url in urls if (a := _address(url)) is not None and not psutil.pid_exists(self._pids.get(url, -1))}
        if not unknown:
            return
        for url in unknown.values():
            self._pids.pop(url, None)
        with suppress(psutil.AccessDenied, OSError):
            for connection in psutil.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.pid is not None and connection.laddr:
                    listened = unknown.get(connection.laddr.port)
                    if listened is not None:
                        self._pids[listened] = connection.pid


def _address(url: str) -> int | None:
    """The port, of an address of this machine's own."""
    parts = urlsplit(url)
    return parts.port if parts.hostname in ("127.0.0.1", "::1", "localhost", socket.gethostname()) else None


def _groups(pid: int) -> dict[str, str]:
    """Path of its group by controller; version 2 has one, under the empty name."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
        return {name: path for line in lines for names, path in [line.split(":", 2)[1:]] for name in names.split(",")}
    return {}


def _folder(groups: Mapping[str, str], others: Mapping[str, set[str]], controller: str) -> Path | None:
    for name, root in ((controller, _ROOT / controller), ("", _ROOT)):
        if name in groups:
            return root / groups[name].lstrip("/") if groups[name] not in {"/", *others.get(name, ())} else None
    return None


def _number(path: Path) -> float | None:
    try:
        text = path.read_text(encoding="ascii").strip()
        return float(_UNLIMITED) if text == "max" else float(text)
    except (OSError, ValueError):
        return None


def _memory(folder: Path) -> Samples:
    used = _number(folder / "memory.usage_in_bytes") or _number(folder / "memory.current")
    most = _number(folder / "memory.limit_in_bytes") or _number(folder / "memory.max")
    said: Samples = [] if used is None else [("container_memory_usage_bytes", {}, used)]
    return said + ([("container_spec_memory_limit_bytes", {}, most)] if most is not None and most < _UNLIMITED else [])


def _throttled(folder: Path) -> Samples:
    with suppress(OSError, ValueError):
        stat = dict(line.split() for line in (folder / "cpu.stat").read_text(encoding="ascii").splitlines())
        return [
            ("container_cpu_cfs_periods_total", {}, float(stat.get("nr_periods", 0))),
            ("container_cpu_cfs_throttled_periods_total", {}, float(stat.get("nr_throttled", 0))),
        ]
    return []


def _descriptors(pid: int) -> Samples:
    """Free ones below the soft limit. The lowest free number counts, for a limit may lie below numbers in use."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
        soft = next(line.split()[3] for line in lines if line.startswith("Max open files"))
        used = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
        first = next(number for number in range(len(used) + 1) if number not in used)
        return [("container_descriptors_free", {}, max(0.0, float(soft) - first))]
    return []
