"""The machine and its control groups: what is told is what the kernel says."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import psutil
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from harness.ops.monitoring.control_groups import Usage, everywhere, places_of, usage
from harness.ops.monitoring.host import Host
from harness.ops.monitoring.instances import Instances, Where
from harness.ops.targets import Endpoint
from harness.telemetry.prometheus_text import parse
from harness.testing import FakeClock

VERSION_2 = {
    "cgroup.controllers": "cpu io memory pids",
    "box/cpu.stat": "usage_usec 2500000\nuser_usec 1\nthrottled_usec 500000",
    "box/cpu.max": "150000 100000",
    "box/memory.current": "1048576",
    "box/memory.max": "4194304",
    "box/memory.events": "low 0\noom 1\noom_kill 2",
    "box/pids.current": "7",
    "box/io.stat": "8:0 rbytes=100 wbytes=200 rios=1 wios=1\n8:16 rbytes=11 wbytes=22",
    "free/cpu.max": "max 100000",
    "free/memory.max": "max",
}
VERSION_1 = {
    "cpuacct/box/cpuacct.usage": "2500000000",
    "cpu/box/cpu.stat": "nr_periods 1\nnr_throttled 1\nthrottled_time 500000000",
    "cpu/box/cpu.cfs_quota_us": "150000",
    "cpu/box/cpu.cfs_period_us": "100000",
    "memory/box/memory.usage_in_bytes": "1048576",
    "memory/box/memory.limit_in_bytes": "4194304",
    "memory/box/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2",
    "pids/box/pids.current": "7",
    "blkio/box/blkio.throttle.io_service_bytes": "8:0 Read 100\n8:0 Write 200\n8:16 Read 11\n8:16 Write 22\nTotal 333",
    "cpu/free/cpu.cfs_quota_us": "-1",
    "memory/free/memory.limit_in_bytes": "9223372036854771712",
}


@pytest.mark.parametrize("files", [VERSION_1, VERSION_2], ids=["v1", "v2"])
def test_both_versions_tell_the_same(files: dict[str, str], tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n", encoding="ascii")
    assert usage(everywhere("/box"), tmp_path) == Usage(2.5, 0.5, 1.5, 1 << 20, 4 << 20, 2, 7, 111, 222)
    free = usage(everywhere("/free"), tmp_path)
    assert free is not None and (free.cpus, free.memory_limit_bytes, free.memory_bytes) == (None, None, None)
    assert (usage(everywhere("/absent"), tmp_path), usage(everywhere("/../box"), tmp_path), usage({}, tmp_path)) == (None, None, None)


def test_the_group_of_a_process(tmp_path: Path) -> None:
    for pid, text in (("1", "0::/a/b\n"), ("2", "12:memory:/docker/x\n1:name=systemd:/y\n"), ("3", "0::/\n")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cgroup").write_text(text, encoding="utf-8")
    assert [places_of(pid, tmp_path) for pid in (1, 2, 3, 4)] == [{"": "/a/b"}, {"memory": "/docker/x", "name=systemd": "/y"}, {}, {}]


def test_the_host_tells_what_the_kernel_tells() -> None:
    host = Host(["/", "/no/such/place"])
    first = {r.name: r.value for r in host.read()}
    assert "cpu" not in first, "a share needs two looks"
    second = first
    for _ in range(5_000):  # until the kernel's clock has ticked: a hundred times a second, however busy the machine is
        time.sleep(0.001)
        second = {r.name: r.value for r in host.read()}
        if "cpu" in second:
            break
    assert "cpu" in second
    assert all(0.0 <= second[name] <= 1.0 for name in ("cpu", "memory", "disk", "disk:/") if name in second)
    assert second["disk:/"] == pytest.approx(psutil.disk_usage("/").percent / 100, abs=0.01)
    assert "disk:/no/such/place" not in second
    registry = CollectorRegistry()
    registry.register(host)  # type: ignore[arg-type]
    samples = parse(generate_latest(registry).decode())
    names = {name for name, _, _ in samples}
    assert {
        "host_cpu_seconds_total",
        "host_load",
        "host_memory_bytes",
        "host_disk_bytes",
        "host_network_bytes_total",
        "host_processes",
    } <= names
    total = next(value for name, labels, value in samples if name == "host_memory_bytes" and labels["kind"] == "total")
    assert total == psutil.virtual_memory().total


def test_who_listens_at_an_address_is_the_process_of_the_instance(tmp_path: Path) -> None:
    clock = FakeClock()
    with socket.create_server(("127.0.0.1", 0)) as mine:
        here = Endpoint("ours", "ours-1", f"http://127.0.0.1:{mine.getsockname()[1]}")
        pid_file = tmp_path / "pid"
        pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")
        elsewhere = Endpoint("far", "far-1", "http://192.0.2.1:80")
        filed = Endpoint("filed", "filed-1", "http://192.0.2.1:81")
        instances = Instances(lambda: [here, elsewhere, filed], clock, {"filed": Where(pid_file=str(pid_file))})
        first = {(r.subject, r.name): r.value for r in instances.read()}
        assert {subject for subject, _ in first} == {"ours", "filed"}
        assert ("ours", "cpu") not in first
        assert first["ours", "memory_bytes"] == pytest.approx(psutil.Process().memory_info().rss, rel=0.5)
        clock.advance(10.0)
        second = {(r.subject, r.name): r.value for r in instances.read()}
        assert 0.0 <= second["ours", "cpu"] < 1.0
        samples = {name for family in instances.collect() for name, *_ in family.samples}
        assert {"instance_cpu_seconds_total", "instance_memory_bytes", "instance_descriptors", "instance_threads"} <= samples


def test_the_group_that_we_are_in_is_read_as_the_kernel_shows_it() -> None:
    found = usage(places_of("self"))
    if found is None or found.memory_bytes is None:
        pytest.skip("our control group is not seen from here")
    assert found.memory_bytes > 0
