"""What the embedded stack can do depends on the machine and the user: what cannot be had is refused, with the reason at hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import cgroups, mounts
from harness.faults.base import FaultError
from harness.faults.memory_look import kills, memory_of
from harness.faults.registry import CATALOG
from harness.lifecycle import doctor
from harness.scenario.checks.faults import check_faults
from harness.scenario.loader import load_text
from harness.stack import disks
from harness.stack.base import Limits, StackError
from harness.stack.catalog import reference_info
from harness.stack.groups import InstanceGroups

REASON = "this user may not"
TAKES: dict[str, tuple[str, Any]] = {
    "Limitable": ("process.oom_kill", {}),
    "DiskLimitable": ("resource.disk_slow", {"mb_per_s": 1}),
    "Volumed": ("resource.disk_full", {}),
}


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cgroups, disks, mounts):
        monkeypatch.setattr(module, "why_not", lambda: REASON)


def problems(fault: str, parameters: Any) -> list[str]:
    target = "postgres" if fault == "resource.disk_full" else "retrieval-1"
    document = {
        "name": "machine",
        "load": {"shape": [{"constant": "1/s"}]},
        "phases": {"steady_state": "30s", "fault": "60s"},
        "faults": [{"id": "one", "type": fault, "target": target, "for": "30s", "with": parameters}],
    }
    return [str(problem) for problem in check_faults(load_text(yaml.safe_dump(document)), CATALOG, reference_info({}))]


@pytest.mark.parametrize("capability", TAKES)
def test_a_fault_that_this_machine_cannot_do_is_refused(capability: str, refused: None) -> None:
    assert capability not in reference_info({}).capabilities
    assert capability not in reference_info({}, driver="processes").capabilities
    (problem,) = problems(*TAKES[capability])
    assert f"cannot do {TAKES[capability][0]}: it is not {capability}" in problem


def test_containers_are_limited_by_their_engine(refused: None) -> None:
    found = reference_info({}, driver="containers").capabilities
    assert "Limitable" in found
    assert {"DiskLimitable", "Volumed"}.isdisjoint(found), "which can neither slow the disk of one that runs nor make a small one"


def test_what_needs_no_rights_is_left(refused: None) -> None:
    for fault in ("resource.cpu_stress", "resource.worker_starvation", "resource.descriptors"):
        assert problems(fault, {}) == []


def test_the_doctor_tells_the_reasons(refused: None) -> None:
    told = {finding.what: (finding.mark, finding.detail) for finding in doctor.examine()}
    for what in ("control groups", "slow disks", "file systems"):
        mark, detail = told[what]
        assert mark == "none" and detail.endswith(REASON)


def test_groups_say_why_they_cannot_limit_and_hold_up_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_found", lambda: REASON)
    groups = InstanceGroups("nobody")
    groups.admit("one", os.getpid())
    with pytest.raises(StackError, match=f"one cannot be limited: {REASON}"):
        groups.limit("one", (), Limits(cpus=0.5))
    with pytest.raises(StackError, match=f"one cannot be limited: {REASON}"):
        groups.limit_disk("one", (), "8:0", 1)
    assert groups.remove() == []


def test_a_file_system_in_memory_has_no_disk() -> None:
    with pytest.raises(StackError, match="the file system of /proc lies on no block device"):
        disks.device_of(Path("/proc"))


@pytest.mark.skipif(cgroups.why_not() is not None, reason="no control groups to be seen")
def test_memory_is_that_of_a_group_without_what_is_only_cached() -> None:
    version, folder = cgroups.folder_of(os.getpid(), "memory")
    usage = int((folder / ("memory.current" if version == 2 else "memory.usage_in_bytes")).read_text())
    assert 0 < memory_of(os.getpid()).held_bytes <= 2 * usage
    assert kills() >= 0


def test_a_process_that_is_gone_has_no_memory() -> None:
    with pytest.raises(FaultError, match="the memory of process 4194305"):
        memory_of(4194305)
