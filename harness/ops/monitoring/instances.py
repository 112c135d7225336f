"""What each instance takes of the machine: its processes, or its control group. Who listens at its address is its process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from harness.ops.monitoring import control_groups
from harness.ops.monitoring.readings import Reading
from harness.ops.targets import Endpoint
from harness.record.clock import NS_PER_S, Clock

LOOKED_UP_EVERY_S = 5.0
_PORTS: Mapping[str, int] = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432, "redis": 6379, "rediss": 6379, "valkey": 6379}


@dataclass(frozen=True, slots=True)
class Where:
    """How a service says where its processes are; empty: by its address."""

    pid_file: str | None = None
    cgroup: str | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """Of one instance at one moment; None is not known. `cpu_s` is counted since its processes began."""

    endpoint: Endpoint
    cpu_s: float | None = None
    cpus: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    processes: int | None = None
    threads: int | None = None
    descriptors: int | None = None
    throttled_s: float | None = None
    oom_kills: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


@dataclass(slots=True)
class Instances:
    """Looks at the instances that `endpoints` lists. Those on other machines, and processes that we may not look into, are left out."""

    endpoints: Callable[[], Iterable[Endpoint]]
    clock: Clock
    where: Mapping[str, Where] = field(default_factory=dict)
    _pids: dict[tuple[str, str], int] = field(default_factory=dict)
    _looked_up_s: float = float("-inf")
    _before: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    _taken: tuple[Taken, ...] = ()
    _shares: dict[tuple[str, str, str], float] = field(default_factory=dict)  # by metric, service and instance

    def read(self) -> Iterator[Reading]:
        """Per service: `cpu` and `memory` as shares of what an instance may use, of the one with most; sums of `memory_bytes`,
        `descriptors` and `oom_kills`.
        """
        now_s = self.clock.now_ns() / NS_PER_S
        self._taken = tuple(self._look(now_s))
        shares: dict[tuple[str, str], float] = {}
        self._shares.clear()
        for taken in self._taken:
            service = taken.endpoint.service
            for name, value in (("cpu", self._cpu_share(taken, now_s)), ("memory", _memory_share(taken))):
                if value is not None:
                    self._shares[name, service, taken.endpoint.instance] = value
                    shares[service, name] = max(value, shares.get((service, name), 0.0))
            for name, count in (("memory_bytes", taken.memory_bytes), ("descriptors", taken.descriptors), ("oom_kills", taken.oom_kills)):
                if count is not None:
                    shares[service, name] = shares.get((service, name), 0.0) + count
        known = {(t.endpoint.service, t.endpoint.instance) for t in self._taken}
        for gone in self._before.keys() - known:
            del self._before[gone]
        yield from (Reading(service, name, value) for (service, name), value in shares.items())

    def hungriest(self, metric: str, service: str | None = None) -> tuple[str, str, float] | None:
        """Service, instance and share of the instance that takes most of `cpu` or `memory`, of one service or of all that are seen."""
        found = [(s, i, share) for (name, s, i), share in self._shares.items() if name == metric and service in (None, s)]
        return max(found, key=lambda one: one[2], default=None)

    def collect(self) -> Iterator[Metric]:
        """What the last `read` found."""
        for name, kind, text, of in _METRICS:
            family = kind(name, text, labels=["service", "instance"])
            for taken in self._taken:
                value = getattr(taken, of)
                if value is not None:
                    family.add_metric([taken.endpoint.service, taken.endpoint.instance], value)
            yield family

    def _look(self, now_s: float) -> Iterator[Taken]:
        endpoints = list(self.endpoints())
        self._find(endpoints, now_s)
        children = _children() if self._pids else {}
        own = control_groups.places_of("self")
        for endpoint in endpoints:
            group = self.where.get(endpoint.service, Where()).cgroup
            pid = self._pids.get((endpoint.service, endpoint.instance))
            places = control_groups.everywhere(group) if group else {}
            if group is None and pid is not None:  # in our own group there are others beside it
                places = {name: place for name, place in control_groups.places_of(pid).items() if own.get(name) != place}
            used = control_groups.usage(places) if places else None
            taken = _of_processes(endpoint, pid, children) if pid is not None else None
            if used is not None:
                yield _with_group(endpoint, taken, used)
            elif taken is not None:
                yield taken

    def _find(self, endpoints: list[Endpoint], now_s: float) -> None:
        """The process of each instance, looked for where one is not known or has ended, every few seconds."""
        keys = {(e.service, e.instance) for e in endpoints}
        self._pids = {key: pid for key, pid in self._pids.items() if key in keys and psutil.pid_exists(pid)}
        if len(self._pids) == len(keys) or now_s - self._looked_up_s < LOOKED_UP_EVERY_S:
            return
        self._looked_up_s = now_s
        listening = _listeners()
        for endpoint in endpoints:
            pid_file = self.where.get(endpoint.service, Where()).pid_file
            pid = _pid_in(Path(pid_file)) if pid_file else listening.get(port) if (port := _local_port(endpoint.url)) else None
            if pid is not None:
                self._pids.setdefault((endpoint.service, endpoint.instance), pid)

    def _cpu_share(self, taken: Taken, now_s: float) -> float | None:
        if taken.cpu_s is None:
            return None
        key = (taken.endpoint.service, taken.endpoint.instance)
        before = self._before.get(key)
        self._before[key] = (now_s, taken.cpu_s)
        if before is None or now_s <= before[0] or taken.cpu_s < before[1]:
            return None
        return (taken.cpu_s - before[1]) / (now_s - before[0]) / (taken.cpus or psutil.cpu_count() or 1)


def _memory_share(taken: Taken) -> float | None:
    if taken.memory_bytes is None:
        return None
    return taken.memory_bytes / (taken.memory_limit_bytes or psutil.virtual_memory().total)


def _listeners() -> dict[int, int]:
    """Port to the process that listens there, as far as we may know."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return {}
    return {c.laddr.port: c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.pid and c.laddr}


def _local_port(url: str) -> int | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    return (parts.port or _PORTS.get(parts.scheme)) if local else None


def _pid_in(file: Path) -> int | None:
    try:
        first = file.read_text(encoding="ascii").split()[:1]
    except (OSError, UnicodeDecodeError):
        return None
    return int(first[0]) if first and first[0].isdigit() and psutil.pid_exists(int(first[0])) else None


def _children() -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = {}
    for process in psutil.process_iter(["ppid"]):
        found.setdefault(process.info["ppid"], []).append(process.pid)
    return found


def _of_processes(endpoint: Endpoint, pid: int, children: Mapping[int, list[int]]) -> Taken | None:
    """A process and its descendants; one that ends meanwhile is left out."""
    family, frontier = [pid], [pid]
    while frontier:
        frontier = [child for parent in frontier for child in children.get(parent, ()) if child not in family]
        family += frontier
    found = [told for one in family if (told := _told(one)) is not None]
    if not found:
        return None
    cpu_s, memory, threads, descriptors = (sum(column) for column in zip(*found, strict=True))
    return Taken(endpoint, cpu_s, None, int(memory), None, len(found), int(threads), int(descriptors))


def _told(pid: int) -> tuple[float, int, int, int] | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            return times.user + times.system, process.memory_info().rss, process.num_threads(), process.num_fds()
    except psutil.Error:
        return None


def _with_group(endpoint: Endpoint, taken: Taken | None, used: control_groups.Usage) -> Taken:
    """The group knows of every process in it, and of the limits; what it does not tell, the processes do."""
    told = {field.name: getattr(used, field.name) for field in fields(used)}
    return replace(taken or Taken(endpoint), **{name: value for name, value in told.items() if value is not None})


_METRICS: tuple[tuple[str, type[CounterMetricFamily] | type[GaugeMetricFamily], str, str], ...] = (
    ("instance_cpu_seconds", CounterMetricFamily, "Processor time of an instance", "cpu_s"),
    ("instance_cpu_limit", GaugeMetricFamily, "Processors that it may use, where that is limited", "cpus"),
    ("instance_cpu_throttled_seconds", CounterMetricFamily, "Time that it was kept waiting for its limit", "throttled_s"),
    ("instance_memory_bytes", GaugeMetricFamily, "Resident memory of its processes, or all memory of its control group", "memory_bytes"),
    ("instance_memory_limit_bytes", GaugeMetricFamily, "Memory that it may use, where that is limited", "memory_limit_bytes"),
    ("instance_oom_kills", CounterMetricFamily, "Processes of it that were killed for want of memory", "oom_kills"),
    ("instance_processes", GaugeMetricFamily, "Its processes", "processes"),
    ("instance_threads", GaugeMetricFamily, "Their threads", "threads"),
    ("instance_descriptors", GaugeMetricFamily, "Their open files", "descriptors"),
    ("instance_disk_read_bytes", CounterMetricFamily, "Read from block devices", "read_bytes"),
    ("instance_disk_written_bytes", CounterMetricFamily, "Written to block devices", "written_bytes"),
)
