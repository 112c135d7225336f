"""Requests are read piece by piece, from one file or several, and are the same as if all of them lay in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.record import pieces, store
from harness.record.frames import FrameError, FrameScan, FrameWriter
from harness.record.pieces import Requests
from harness.record.requests import REQUEST_DTYPE

S = 1_000_000_000


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_ROWS", 4)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> store.RunDirectory:
    directory = store.RunDirectory(tmp_path_factory.mktemp("run"))
    directory.requests.mkdir()
    store.write_run_file(directory, {})
    return directory


def rows(*intended_s: int, journey: int = 0) -> NDArray[Any]:
    array = np.zeros(len(intended_s), dtype=REQUEST_DTYPE)
    array["intended_ns"] = np.array(intended_s, dtype=np.int64) * S
    array["journey"] = journey
    array["sources"] = np.arange(10)
    return array


def segment(path: Path, frames: Sequence[NDArray[Any]], journeys: Sequence[str] = ("ask",), dtype: np.dtype[Any] = REQUEST_DTYPE) -> None:
    path.unlink(missing_ok=True)
    writer = FrameWriter(path, dtype, {"journeys": list(journeys)})
    for frame in frames:
        writer.append(frame)
    writer.close()


def read(place: store.RunDirectory) -> Requests:
    return store.read(place.path).requests


FRAMES = st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=11), max_size=8)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=FRAMES, start_s=st.integers(-1, 31), length_s=st.integers(0, 32), then=st.tuples(st.integers(-1, 31), st.integers(0, 32)))
def test_any_stretch_of_any_segment(
    frames: list[list[int]], start_s: int, length_s: int, then: tuple[int, int], place: store.RunDirectory
) -> None:
    segment(place.requests / "load.seg", [rows(*frame) for frame in frames])
    naive = rows(*(t for frame in frames for t in frame))
    whole = read(place)
    assert (len(whole), whole.rows().tobytes()) == (len(naive), naive.tobytes())
    part, memory = (r.between(start_s * S, (start_s + length_s) * S) for r in (whole, Requests.of(naive)))
    kept = naive[(naive["intended_ns"] >= start_s * S) & (naive["intended_ns"] < (start_s + length_s) * S)]
    for found in (part, memory):
        assert len(found) == found.most == len(kept)
        assert found.rows().tobytes() == kept.tobytes()
        assert found["intended_ns"].tolist() == kept["intended_ns"].tolist()
        assert all(0 < len(piece) <= 4 for piece in found.pieces())
        nearer = found.between(then[0] * S, (then[0] + then[1]) * S)
        inside = (kept["intended_ns"] >= then[0] * S) & (kept["intended_ns"] < (then[0] + then[1]) * S)
        assert nearer["intended_ns"].tolist() == kept["intended_ns"][inside].tolist()


def test_what_goes_through_a_change_is_counted_after_it(place: store.RunDirectory) -> None:
    segment(place.requests / "load.seg", [rows(*range(10)), rows(*range(10, 13))])
    even = read(place).through(lambda r: r[r["intended_ns"] // S % 2 == 0])
    assert (len(even), even.most) == (7, 13)
    assert (even["intended_ns"] // S).tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert even["sources"].tolist() == [list(range(10))] * 7
    with pytest.raises(KeyError):
        even["no such column"]


def test_several_segments_may_number_their_journeys_differently(place: store.RunDirectory) -> None:
    """Each load worker writes a file of its own."""
    segment(place.requests / "load.seg", [rows(1, 2, journey=1)], ["ask", "search"])
    segment(place.requests / "other.seg", [rows(3, journey=0), rows(4, journey=1), rows(5, journey=7)], ["search", "login"])
    history = store.read(place.path)
    (place.requests / "other.seg").unlink()
    assert history.journeys == ("ask", "search", "login")
    with pytest.raises(FileNotFoundError):
        history.requests.rows()
    segment(place.requests / "other.seg", [rows(3, journey=0), rows(4, journey=1), rows(5, journey=7)], ["search", "login"])
    assert history.requests["journey"].tolist() == [1, 1, 1, 2, 255], "255: a journey that nobody named"
    (place.requests / "other.seg").unlink()


def test_a_file_that_changes_under_its_reader_is_an_error(place: store.RunDirectory) -> None:
    file = place.requests / "load.seg"
    segment(file, [rows(*range(10))])
    history = store.read(place.path)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(FrameError, match=r"load\.seg: changed while it was read"):
        history.requests.rows()


def test_a_column_of_a_newer_program_is_left_out(place: store.RunDirectory) -> None:
    wider: np.dtype[Any] = np.dtype([*((name, REQUEST_DTYPE[name]) for name in REQUEST_DTYPE.names or ()), ("mood", "<i8")])
    newer = np.zeros(5, dtype=wider)
    newer["intended_ns"], newer["mood"] = np.arange(5) * S, 3
    segment(place.requests / "load.seg", [newer], dtype=wider)
    found = read(place)
    assert found.rows().dtype == REQUEST_DTYPE
    assert found.between(S, 3 * S)["intended_ns"].tolist() == [S, 2 * S]


@pytest.mark.parametrize("cut", [1, 140 * 9])
def test_no_block_of_a_torn_frame_counts(cut: int, tmp_path: Path) -> None:
    """A frame of several pieces is proved as a whole."""
    segment(tmp_path / "a.seg", [rows(1, 2), rows(*range(10))])
    (tmp_path / "a.seg").write_bytes((tmp_path / "a.seg").read_bytes()[:-cut])
    scan = FrameScan(tmp_path / "a.seg")
    assert [len(r) for _, r in scan.blocks(most=4)] == [2]
    assert scan.torn


def test_what_looks_torn_while_a_run_goes_on_is_being_written(tmp_path: Path) -> None:
    directory = store.RunDirectory(tmp_path)
    directory.requests.mkdir()
    store.write_run_file(directory, {})
    segment(directory.requests / "load.seg", [rows(1, 2), rows(3)])
    (directory.requests / "load.seg").write_bytes((directory.requests / "load.seg").read_bytes()[:-1])
    (directory.requests / "load_001.seg").touch()
    directory.events.write_text('{"schema": 1}\n{"t_ns": 1, "ki')
    live = store.read(tmp_path, live=True)
    assert (live.damage, len(live.requests)) == ((), 2)
    assert len(store.read(tmp_path).damage) == 3
