"""What counts as left behind by a fault, and what an operator may have done."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from harness.faults.fingerprint import Fingerprint, World, settled, take
from harness.record.clock import SystemClock
from harness.stack.base import Instance, Stack
from harness.testing import FakeClock

BEFORE = Fingerprint(
    {"proxy on a->b": "", "mounts": ""},
    {"a-1": {"state": "ready", "cgroup": "{}"}, "a-2": {"state": "ready", "cgroup": "{}"}},
    {(10, 1.0): "proxy"},
)


@pytest.mark.parametrize(
    ("after", "found"),
    [
        ({}, []),
        ({"marks": {"proxy on a->b": "slow", "mounts": ""}}, ["proxy on a->b: slow, was "]),
        ({"marks": {"proxy on a->b": ""}}, ["mounts: nothing, was "]),
        ({"processes": {(10, 1.0): "proxy", (11, 2.0): "hog"}}, ["process hog (pid 11)"]),
        ({"processes": {(10, 2.0): "hog"}}, ["process hog (pid 10)"]),
        ({"processes": {}}, []),  # what ended by itself is none of ours
        ({"stopped": ("python (pid 7)",)}, ["stopped process python (pid 7)"]),
        ({"of_instances": {"a-1": {"state": "ready", "cgroup": "{quota}"}}}, ["a-1: cgroup: {quota}, was {}"]),
        ({"of_instances": {"a-1": {"state": "ready", "cgroup": "{}"}, "a-3": {"state": "not ready"}}}, []),  # scaled by the operator
    ],
)
def test_only_what_a_fault_changes_is_a_difference(after: dict[str, Any], found: list[str]) -> None:
    assert replace(BEFORE, **after).differences(BEFORE) == found


def test_what_could_not_be_read_before_proves_nothing_and_what_cannot_be_read_after_is_told() -> None:
    blind = Fingerprint({"look": "cannot be read: OSError: x"})
    assert Fingerprint({}).differences(blind) == []
    assert blind.differences(Fingerprint({})) == ["look: cannot be read: OSError: x, was nothing"]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({}, {"state": "ready", "settings": "[]"}, []),  # it was not ready, and so was not asked for its settings
        ({"limits": "nice 0"}, {"state": "ready", "limits": "nice 5"}, ["a-1: limits: nice 5, was nice 0"]),
        ({"limits": "nice 0"}, {"state": "not ready", "limits": "nice 0"}, []),
    ],
)
def test_an_instance_that_was_not_ready_is_compared_by_what_was_seen_of_it(
    before: dict[str, str], after: dict[str, str], found: list[str]
) -> None:
    was = Fingerprint({}, {"a-1": {"state": "not ready", **before}})
    assert Fingerprint({}, {"a-1": after}).differences(was) == found


def test_it_waits_a_little_for_what_comes_back_by_itself() -> None:
    clock = FakeClock()
    down = replace(BEFORE, of_instances={"a-1": {"state": "not ready", "cgroup": "{}"}})
    assert settled(BEFORE, lambda: BEFORE if clock.now_ns() > 3e9 else down, clock, 10.0) == []
    assert 3e9 < clock.now_ns() < 4e9
    assert settled(BEFORE, lambda: down, clock, 2.0) == ["a-1: state: not ready, was ready"]


def world_of(tmp_path: Path, pid: int) -> World:
    instance = Instance("a", "a-1", "http://127.0.0.1:9", "1", pid)
    info = SimpleNamespace(services={"a": 1}, edges=frozenset(), programmable=frozenset())
    stack = SimpleNamespace(info=info, instances=lambda _: [instance], probe=lambda _: None)
    return World(cast(Stack, stack), None, tmp_path)


def test_real_processes_files_and_limits(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "keys.json").write_text("1")
    sleeps = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(sleeps) as service, subprocess.Popen(sleeps) as hog:
        try:
            before = take(world_of(tmp_path, service.pid))
            assert hog.pid in {pid for pid, _ in before.processes} and service.pid not in {pid for pid, _ in before.processes}
            assert take(world_of(tmp_path, service.pid)).differences(before) == []
            (tmp_path / "secrets" / "keys.json").write_text("2")
            (tmp_path / "filler").write_text("x")
            nicer = psutil.Process().nice() + 1  # the test itself may be run with a niceness
            psutil.Process(service.pid).nice(nicer)
            psutil.Process(service.pid).suspend()
            deadline_ns = SystemClock().now_ns() + 60_000_000_000
            while psutil.Process(service.pid).status() != psutil.STATUS_STOPPED and SystemClock().now_ns() < deadline_ns:
                SystemClock().sleep(0.01)
            with subprocess.Popen(sleeps) as new:
                left = take(world_of(tmp_path, service.pid)).differences(before)
                new.kill()
            assert [text.partition(":")[0].partition(" (")[0] for text in left] == [
                f"process {psutil.Process(hog.pid).name()}",
                f"stopped process {psutil.Process(service.pid).name()}",
                "file filler",
                "file secrets/keys.json",
                "a-1",
            ]
            assert f"nice {nicer}," in left[-1] and f"pid {new.pid}" in left[0]
        finally:
            service.kill()
            hog.kill()
