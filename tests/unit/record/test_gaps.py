"""Gaps between tokens come back by request, and what is damaged is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.record.frames import FrameWriter
from harness.record.gaps import GAP, Gaps


def written(file: Path, *rows: tuple[int, int]) -> None:
    writer = FrameWriter(file, GAP, {})
    for row in rows:
        writer.append(np.array([row], dtype=GAP))
    writer.close()


def test_gaps_come_by_request_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    written(tmp_path / "load-0.seg", (4, 30), (2, 7), (4, 10))
    written(tmp_path / "load-1.seg", (3, 5))
    damage: list[str] = []
    assert Gaps.find(tmp_path, damage).rows.tolist() == [(2, 7), (3, 5), (4, 30), (4, 10)]
    assert damage == []


def test_none_are_none_and_a_torn_file_is_told(tmp_path: Path) -> None:
    assert len(Gaps.find(tmp_path / "nowhere", []).rows) == 0
    written(tmp_path / "load.seg", (1, 2), (3, 4))
    file = tmp_path / "load.seg"
    file.write_bytes(file.read_bytes()[:-3])
    damage: list[str] = []
    assert Gaps.find(tmp_path, damage).rows.tolist() == [(1, 2)]
    assert damage == [f"{tmp_path.name}/load.seg: the last frame is torn"]
    (tmp_path / "other.seg").write_bytes(b"nothing")
    assert Gaps.find(tmp_path, damage).rows.tolist() == [(1, 2)], "the files that can be read are"
    assert damage[-1] == f"{tmp_path.name}/other.seg: not a segment file"
