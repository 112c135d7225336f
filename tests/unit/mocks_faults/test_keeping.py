"""Faults outlive a restart: the file, ages, what has ended meanwhile, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mocks.faults.keeping import FaultsFile
from mocks.faults.table import FaultTable
from mocks.llm.faults import FAULTS
from mocks.llm.plan import Plan

SLOW = {"type": "slow_first_token", "ttft_s": 3.0}


class Clocks:
    """One machine: a wall clock, and a monotonic one that begins anew with every process."""

    def __init__(self) -> None:
        self.wall_s = 1_000_000.0
        self._booted_s = 0.0

    def process(self, path: Path) -> FaultTable[Plan]:
        began_s = self.wall_s
        table: FaultTable[Plan] = FaultTable(FAULTS, lambda: self.wall_s - began_s, seed=0)
        FaultsFile(path, table, lambda: self.wall_s)
        return table


def test_a_new_process_goes_on_where_the_old_one_ended(tmp_path: Path) -> None:
    clocks, path = Clocks(), tmp_path / "faults.json"
    first = clocks.process(path)
    first.put("slow", {**SLOW, "ttl_s": 60})
    clocks.wall_s += 10
    first.put("closed", {"type": "connection_refused", "window": {"start_s": 5, "duration_s": 20}})
    clocks.wall_s += 15
    second = clocks.process(path)
    assert [(view["id"], view["type"], view["expires_in_s"]) for view in second.views()] == [
        ("slow", "slow_first_token", 35),
        ("closed", "connection_refused", None),
    ]
    assert second.refusing()  # its window has been open for 10 s
    clocks.wall_s += 11
    assert not second.refusing()


def test_what_was_removed_or_has_ended_does_not_come_back(tmp_path: Path) -> None:
    clocks, path = Clocks(), tmp_path / "faults.json"
    first = clocks.process(path)
    first.put("removed", SLOW)
    first.put("short", {**SLOW, "ttl_s": 5})
    first.put("long", {**SLOW, "ttl_s": 50})
    first.remove("removed")
    clocks.wall_s += 6
    assert [view["id"] for view in clocks.process(path).views()] == ["long"]
    assert [kept["id"] for kept in json.loads(path.read_bytes())["faults"]] == ["long"]
    clocks.process(path).clear()
    assert clocks.process(path).views() == []


def test_there_is_always_a_whole_file(tmp_path: Path) -> None:
    table = Clocks().process(tmp_path / "faults.json")
    for number in range(20):
        table.put(str(number), SLOW)
    assert [file.name for file in tmp_path.iterdir()] == ["faults.json"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"faults": 3}',
        '{"faults": [3]}',
        '{"faults": [{"id": "x"}]}',
        '{"faults": [{"id": "x", "document": [], "put_s": 0}]}',
        '{"faults": [{"id": "x", "document": {"type": "no such"}, "put_s": 0}]}',
        '{"faults": [{"id": "x", "document": {"type": "slow_first_token", "ttft_s": 1}, "put_s": "now"}]}',
    ],
)
def test_a_file_that_holds_no_faults_is_said_to(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "faults.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"JSON|does not hold faults|cannot be put in force|unexpected end|Input"):
        Clocks().process(path)
    assert path.read_text() == content
