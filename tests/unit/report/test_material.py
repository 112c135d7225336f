"""Readings that several renderers share, and lanes that stay legible."""

from __future__ import annotations

import pytest

from harness.report import svg
from harness.report.material import told_once
from harness.score.check import Result, Status


def test_a_reason_that_repeats_is_told_once() -> None:
    reasons = ["cut", "cut", "other", "cut"]
    results = [Result(f"c{n}", "expect", Status.INCONCLUSIVE, reason) for n, reason in enumerate(reasons)]
    assert told_once(results) == list(zip(results, ["cut", "as above", "other", "cut"], strict=True))
    assert told_once([]) == []


AXIS = svg.Axis(0.0, 100.0)


def alert(start_s: float, end_s: float, label: str = "") -> svg.Block:
    return svg.Block(start_s, end_s, "alert", label, "an alert")


@pytest.mark.parametrize(
    ("items", "most", "rows"),
    [
        ([], 4, [0]),
        ([(0, 10), (20, 30)], 4, [2]),
        ([(0, 10), (5, 30)], 4, [1, 1]),
        ([(5, 30), (0, 10), (12, 20)], 4, [2, 1]),
        ([(0, 50)] * 5, 3, [1, 1, 3]),
    ],
)
def test_what_overlaps_gets_a_lane_of_its_own(items: list[tuple[float, float]], most: int, rows: list[int]) -> None:
    lanes = svg.packed(AXIS, "alerts", [alert(*item) for item in items], most)
    assert [len(lane.items) for lane in lanes] == rows
    assert [lane.name for lane in lanes] == ["alerts", *[""] * (len(rows) - 1)]


def test_a_label_beside_a_block_needs_room_too() -> None:
    lanes = svg.packed(AXIS, "alerts", [alert(0, 10, "a long name beside it"), alert(12, 20)], 4)
    assert [len(lane.items) for lane in lanes] == [1, 1]
