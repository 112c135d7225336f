"""Faults of resources on one real process, without control groups: what an ordinary user can do. Root repeats it without its rights."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest

from harness.faults import roundtrip
from harness.faults.base import Context, Evidence, Fault, Target
from harness.faults.process import NoParameters
from harness.faults.resource_cpu import CpuStress, CpuStressParameters, StarvationParameters, WorkerStarvation
from harness.faults.resource_descriptors import Descriptors, first_free
from harness.faults.undo import execute
from harness.record.clock import NS_PER_S, SystemClock
from harness.scenario.catalog import StackInfo
from harness.stack.base import Instance, Place, Stress
from harness.stack.beside import run_beside
from harness.stack.groups import InstanceGroups
from harness.stack.options import StackOptions
from harness.stack.ports import free_ports
from harness.sweep import end_processes, processes_in

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0


class PlainStack:
    """One tiny service: Placed and Stressable, not Limitable."""

    info = StackInfo(
        name="plain",
        services={"tiny": 1},
        edges=frozenset(),
        capabilities=frozenset({"Placed", "Stressable"}),
        journeys=frozenset(),
    )
    entry_url = ""
    api_key = None

    def __init__(self, folder: Path) -> None:
        self._options = StackOptions(f"plain-{uuid.uuid4().hex[:8]}", folder, folder)
        self._groups = InstanceGroups(self._options.run_id)
        self._numbers = count()
        self._port = free_ports(1)[0]
        argv = [sys.executable, "-m", "tests.contract.tiny_service", "http", str(self._port), "1"]
        self.process = subprocess.Popen(argv, cwd=ROOT)

    def start(self) -> None:
        until(lambda: self.probe(self.instances("tiny")[0]) is None, "it is ready")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert end_processes(processes_in(self._options.work_dir)) == []
        assert self._groups.remove() == []

    def instances(self, _service: str) -> Sequence[Instance]:
        pid = self.process.pid if self.process.poll() is None else None
        return [Instance("tiny", "tiny-1", f"http://127.0.0.1:{self._port}", "1", pid)]

    def probe(self, instance: Instance) -> str | None:
        try:
            roundtrip.once(roundtrip.of_url(instance.url), SystemClock(), 1.0)
        except roundtrip.RoundTripError as error:
            return str(error)
        return None

    def targets(self) -> Mapping[str, Any]:
        return {}

    def place(self, _instance: str) -> Place:
        return Place(self.process.pid)

    def stress(self, instance: str, script: Path, arguments: Sequence[str]) -> Stress:
        return run_beside(instance, self.process.pid, next(self._numbers), script, arguments, self._options, self._groups)


def until(look: Callable[[], Any], what: str) -> Any:
    clock = SystemClock()
    deadline_ns = clock.now_ns() + round(WITHIN_S * NS_PER_S)
    while not (found := look()):
        assert clock.now_ns() < deadline_ns, what
        clock.sleep(0.02)
    return found


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[PlainStack]:
    running = PlainStack(tmp_path)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def context(stack: PlainStack) -> Context:
    return Context(stack, SystemClock(), Random(1), ttl_s=60.0)


@contextmanager
def injected(fault: Fault) -> Iterator[Evidence]:
    """What it shows; healed and gone afterwards."""
    assert fault.verify() is None
    fault.inject()
    fault.inject()
    yield until(fault.verify, "it bites")
    assert fault.gone() is None
    fault.heal()
    until(fault.gone, "it is gone")


def test_as_we_are_a_stressed_instance_shares_one_processor_with_what_burns_it(stack: PlainStack) -> None:
    usual = os.sched_getaffinity(stack.process.pid)
    workers = min(64, 3 + 2 * round(os.getloadavg()[0]))  # on a busy machine everything is slow already
    fault = CpuStress(Target("tiny"), CpuStressParameters(workers=workers), context(stack))
    with injected(fault) as found:
        assert os.sched_getaffinity(stack.process.pid) == {min(usual)}
        assert found["times_slower"] >= 1.5 and found["burnt_cpu_s"] > 0.0
    assert os.sched_getaffinity(stack.process.pid) == usual


def test_as_we_are_what_burns_ends_with_its_instance(stack: PlainStack, tmp_path: Path) -> None:
    fault = CpuStress(Target("tiny"), CpuStressParameters(workers=2), context(stack))
    fault.inject()
    assert until(lambda: len(processes_in(tmp_path)) == 3, "it and two workers")
    stack.process.kill()
    stack.process.wait()
    until(lambda: processes_in(tmp_path) == [], "gone by itself")


def test_as_we_are_a_starved_instance_is_freed_by_its_undo_entries(stack: PlainStack, tmp_path: Path) -> None:
    fault = WorkerStarvation(Target("tiny"), StarvationParameters.model_validate({"busy": 0.9, "stretch": "300ms"}), context(stack))
    undo = fault.undo()
    fault.inject()
    assert until(fault.verify, "it bites")["slowest_round_trip_s"] >= 0.15
    assert [entry.detail for entry in (execute(entry, tmp_path) for entry in reversed(undo)) if not entry.ok] == []
    until(lambda: (found := fault.gone()) is not None and found["slowest_round_trip_s"] < 0.09, "it is free")
    fault.heal()


def test_as_we_are_an_instance_without_descriptors_lives_and_takes_nobody_in(stack: PlainStack) -> None:
    process = psutil.Process(stack.process.pid)
    usual = process.rlimit(psutil.RLIMIT_NOFILE)
    fault = Descriptors(Target("tiny"), NoParameters(), context(stack))
    with injected(fault) as found:
        assert found["free"] == 0 and found["pid"] == stack.process.pid
        assert process.rlimit(psutil.RLIMIT_NOFILE) == (first_free(process.pid), usual[1])
    assert process.rlimit(psutil.RLIMIT_NOFILE) == usual


def test_an_ordinary_user_can_do_all_of_that(tmp_path: Path) -> None:
    """Root without its rights is one that may read this Python and this checkout, wherever they are."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("takes root and setpriv")
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable]
    told = "from harness import cgroups, mounts; print(cgroups.why_not() is None, mounts.why_not() is None)"
    assert subprocess.run([*powerless, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True).stdout == "False False\n"
    argv = [*powerless, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "as_we_are", f"--basetemp={tmp_path / 'base'}"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
