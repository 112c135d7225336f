"""The machine: processors, memory, file systems, network, processes, load. As metrics, for Prometheus and for readings alike."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from harness.ops.monitoring.readings import HOST, Reading

_ROUNDS = 15


class Host:
    """Of the whole machine, as this process sees it. `cpu` is over the last 15 calls of `read`: a busy second is no load."""

    def __init__(self, disks: Sequence[str] = ("/",)) -> None:
        self._disks = tuple(disks)
        self._spent: deque[tuple[float, float]] = deque(maxlen=_ROUNDS)  # busy and all seconds of the processors

    def collect(self) -> Iterator[Metric]:
        """Counters and gauges of this moment."""
        yield from _processors()
        yield from _memory()
        yield from self._file_systems()
        yield from _traffic()
        yield from _processes()

    def read(self) -> Iterator[Reading]:
        """Shares of 0 to 1: `cpu`, `memory`, `swap`, `disk` (the fullest) and `disk:PATH`; `load` per processor."""
        self._spent.append(_spent())
        (busy_before, all_before), (busy, all_) = self._spent[0], self._spent[-1]
        if all_ > all_before:
            yield Reading(HOST, "cpu", min(1.0, max(0.0, (busy - busy_before) / (all_ - all_before))))
        memory = psutil.virtual_memory()
        yield Reading(HOST, "memory", 1.0 - memory.available / memory.total)
        yield Reading(HOST, "memory_bytes", float(memory.total - memory.available))
        swap = psutil.swap_memory()
        if swap.total:
            yield Reading(HOST, "swap", swap.used / swap.total)
        used = {path: usage for path in self._disks if (usage := _usage(path)) is not None}
        for path, (total, taken, free) in used.items():
            yield Reading(HOST, f"disk:{path}", taken / (taken + free) if taken + free else 0.0)
            yield Reading(HOST, f"disk_free_bytes:{path}", float(free))
            yield Reading(HOST, f"disk_bytes:{path}", float(total))
        if used:
            yield Reading(HOST, "disk", max(taken / (taken + free) for _, taken, free in used.values() if taken + free))
        yield Reading(HOST, "load", psutil.getloadavg()[0] / (psutil.cpu_count() or 1))

    def _file_systems(self) -> Iterator[Metric]:
        sizes = GaugeMetricFamily("host_disk_bytes", "Of the file system at a path", labels=["path", "kind"])
        for path in self._disks:
            usage = _usage(path)
            if usage is not None:
                for kind, value in zip(("total", "used", "free"), usage, strict=True):
                    sizes.add_metric([path, kind], value)
        yield sizes
        moved = CounterMetricFamily("host_disk_io_bytes", "Read from and written to block devices", labels=["device", "direction"])
        for device, io in (psutil.disk_io_counters(perdisk=True) or {}).items():
            moved.add_metric([device, "read"], io.read_bytes)
            moved.add_metric([device, "write"], io.write_bytes)
        yield moved


def _spent() -> tuple[float, float]:
    """Seconds of all processors: busy, and all of them. What a guest took is counted in `user` already."""
    times = psutil.cpu_times()
    spent = {mode: value for mode, value in times._asdict().items() if mode not in ("guest", "guest_nice")}
    return sum(value for mode, value in spent.items() if mode not in ("idle", "iowait")), sum(spent.values())


def _usage(path: str) -> tuple[int, int, int] | None:
    """Total, used and free for us, in bytes; None where there is no such path."""
    try:
        usage = psutil.disk_usage(path)
    except OSError:
        return None
    return usage.total, usage.used, usage.free


def _processors() -> Iterator[Metric]:
    seconds = CounterMetricFamily("host_cpu_seconds", "Processor time by what it was spent on", labels=["mode"])
    for mode, value in psutil.cpu_times()._asdict().items():
        seconds.add_metric([mode], value)
    yield seconds
    yield GaugeMetricFamily("host_cpus", "Processors", psutil.cpu_count() or 1)
    load = GaugeMetricFamily("host_load", "Runnable processes, averaged over minutes", labels=["minutes"])
    for minutes, value in zip(("1", "5", "15"), psutil.getloadavg(), strict=True):
        load.add_metric([minutes], value)
    yield load


def _memory() -> Iterator[Metric]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    sizes = GaugeMetricFamily("host_memory_bytes", "Memory by what it is used for", labels=["kind"])
    kinds: Mapping[str, float] = {
        "total": memory.total,
        "available": memory.available,
        "used": memory.total - memory.available,
        "swap_total": swap.total,
        "swap_used": swap.used,
    }
    for kind, value in kinds.items():
        sizes.add_metric([kind], value)
    yield sizes


def _traffic() -> Iterator[Metric]:
    moved = CounterMetricFamily("host_network_bytes", "By interface", labels=["interface", "direction"])
    lost = CounterMetricFamily("host_network_errors", "Packets that failed or were dropped", labels=["interface", "direction"])
    for interface, io in psutil.net_io_counters(pernic=True).items():
        moved.add_metric([interface, "in"], io.bytes_recv)
        moved.add_metric([interface, "out"], io.bytes_sent)
        lost.add_metric([interface, "in"], io.errin + io.dropin)
        lost.add_metric([interface, "out"], io.errout + io.dropout)
    yield moved
    yield lost


def _processes() -> Iterator[Metric]:
    states = Counter(process.info["status"] for process in psutil.process_iter(["status"]))
    counted = GaugeMetricFamily("host_processes", "By state", labels=["state"])
    for state, count in sorted(states.items()):
        counted.add_metric([str(state)], count)
    yield counted
