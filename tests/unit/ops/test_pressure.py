"""Scarcity on a machine: recorded, cleaned, and only then something for the controller."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from harness.ops.diagnosis.ranking import Cause
from harness.ops.recovery.pressure import PATIENCE_S, Cleaned, PressurePolicy, PressureResponse, clean, processor_times, top_processes
from harness.ops.recovery.strategies import Step
from harness.ops.stackfile.loading import StackFileError, stack_of_text
from tests.unit.ops.world import World, on_call

LONG_AGO_S = 1_000_000_000.0
CPU = ("host", "cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An old file in a folder, a new one, and things that are none of ours."""
    top = tmp_path / "temporary"
    (top / "inner").mkdir(parents=True)
    (tmp_path / "precious").mkdir()
    for path, age_s in ((top / "inner/old", 7200), (top / "new", 60), (tmp_path / "precious/kept", 7200)):
        path.write_bytes(b"x" * 100)
        os.utime(path, (LONG_AGO_S - age_s, LONG_AGO_S - age_s))
    (top / "link").symlink_to(tmp_path / "precious/kept")
    (top / "linked").symlink_to(tmp_path / "precious")
    os.mkfifo(top / "pipe")
    return top


def test_only_old_regular_files_go_and_nothing_behind_a_link(folder: Path) -> None:
    far_s = os.lstat(folder / "inner/old").st_ctime + 10_000.0  # that time cannot be set back
    assert clean([folder], 20_000.0, far_s) == Cleaned()
    os.utime(folder / "new", (far_s, far_s))
    assert clean([folder], 3600.0, far_s, dry_run=True) == Cleaned(1, 100) and (folder / "inner/old").exists()
    assert clean([folder, folder / "absent"], 3600.0, far_s) == Cleaned(1, 100)
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert left == ["inner", "link", "linked", "new", "pipe"] and (folder.parent / "precious/kept").exists()
    assert clean([folder], 3600.0, far_s) == Cleaned()


def test_the_process_that_works_is_on_top() -> None:
    before = processor_times()
    while processor_times()[os.getpid()] - before[os.getpid()] < 0.05:
        pass
    mine = next(p for p in top_processes("cpu", before, 0.05, most=1000) if p.pid == os.getpid())
    assert mine.cpus >= 1.0 and mine.memory_bytes > 1_000_000
    sizes = [p.memory_bytes for p in top_processes("memory", {}, 0.0)]
    assert sizes == sorted(sizes, reverse=True) and 0 < len(sizes) <= 5


class Answered:
    """A response with everything that it says; `hungry` is who takes most."""

    def __init__(self, folder: Path, acts: bool = True, restart: bool = True) -> None:
        self.told: list[Any] = []
        self.hungry: tuple[str, str, float] | None = ("retrieval", "retrieval-2", 0.7)
        policy = PressurePolicy((folder,), 0.0, restart)
        self.response = PressureResponse(policy, acts, lambda metric, service: self.hungry, lambda: LONG_AGO_S * 4, self.told.append)

    def go(self, until_s: int, since_s: int = 0, key: tuple[str, str] = CPU) -> list[tuple[int, Cause]]:
        """Past its limit from `since_s` on, an alert 15 s later."""
        return [
            (t, cause)
            for t in range(since_s, until_s)
            for cause in self.response.update(float(t), [key], [key] if t >= since_s + 15 else [])
        ]


def test_first_it_is_recorded_and_cleaned_and_only_then_restarted(folder: Path) -> None:
    answered = Answered(folder)
    assert answered.go(15) == [] and answered.told == [], "what does not last is no pressure"
    found = answered.go(40)
    assert [one["what"] for one in answered.told] == ["pressure", "cleaned"], "once"
    assert answered.told[1]["files"] == 2 and answered.told[1]["removed"] and answered.told[0]["processes"]
    t_s, cause = found[0]
    assert (t_s, cause.service, cause.kind, cause.instances) == (15 + PATIENCE_S, "retrieval", "cpu", ("retrieval-2",))
    answered.response.update(50.0, [], [])
    answered.go(80, since_s=60)
    assert [one["what"] for one in answered.told] == ["pressure", "cleaned"] * 2, "another time is another answer"


@pytest.mark.parametrize(
    ("acts", "restart", "hungry", "key"),
    [
        (True, False, ("retrieval", "retrieval-2", 0.7), CPU),
        (True, True, ("retrieval", "retrieval-2", 0.2), CPU),
        (True, True, None, CPU),
        (True, True, ("retrieval", "retrieval-2", 0.7), ("host", "disk")),
        (True, True, ("retrieval", "retrieval-2", 0.7), ("host", "load")),
    ],
    ids=["not allowed", "not hungry enough", "not ours", "a disk", "not scarce"],
)
def test_what_is_not_restarted(folder: Path, acts: bool, restart: bool, hungry: Any, key: tuple[str, str]) -> None:
    answered = Answered(folder, acts, restart)
    answered.hungry = hungry
    assert answered.go(60, key=key) == []


def test_who_may_not_act_only_tells(folder: Path) -> None:
    answered = Answered(folder, acts=False)
    answered.go(20)
    assert answered.told[1]["files"] == 2 and not answered.told[1]["removed"] and (folder / "inner/old").exists()


def test_the_controller_has_the_last_word(tmp_path: Path) -> None:
    world = World(tmp_path)
    operator, ear = on_call(world)
    cause = Cause("retrieval", "memory", 0.9, "hungry", ("retrieval-2",))
    for _ in range(20):
        operator.round(world.step())
        operator.consider(world.t_s, cause)
    restarts = [t for t, kind, said in ear.said if kind == "action" and said == Step("restart", "retrieval", "retrieval-2")]
    assert len(restarts) == 1 and len(operator.history) >= 1, "with its cooldown, not once a round"
    assert ear.of("diagnosis")[0] == (("retrieval", "memory"),)


@pytest.mark.parametrize("path", ["/", "/etc", "tmp/x", "/var/../etc"])
def test_a_folder_that_nobody_wants_cleaned_is_refused(path: str) -> None:
    with pytest.raises(StackFileError, match=r"S:3:24: .* is no folder to be cleaned; write an absolute path below the first level"):
        stack_of_text(f"services:\n  a: {{url: 'http://a'}}\npressure: {{temporary: ['{path}']}}\n", "S", {})
