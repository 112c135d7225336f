"""Segments survive being cut or damaged at any byte, and being read while they grow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.record.frames import FrameError, FrameScan, FrameTail, FrameWriter, read_frames
from harness.record.requests import REQUEST_DTYPE
from harness.record.samples import SampleWriter, Series, read_samples, read_series
from harness.record.tail import RequestTail


def rows(*seq: int) -> np.ndarray:
    array = np.zeros(len(seq), dtype=REQUEST_DTYPE)
    array["seq"] = seq
    array["intended_ns"] = np.array(seq) * 1_000_000_000
    array["sources"] = -1
    return array


def segment(path: Path) -> Path:
    writer = FrameWriter(path, REQUEST_DTYPE, {"journeys": ["ask"]})
    writer.append(rows(1, 2))
    writer.append(rows())
    writer.append(rows(3))
    writer.close()
    return path


def torn(path: Path) -> bool:
    scan = FrameScan(path)
    list(scan.blocks())
    return scan.torn


def test_round_trip(tmp_path: Path) -> None:
    path = segment(tmp_path / "a.seg")
    assert FrameScan(path).header["journeys"] == ["ask"]
    assert np.array_equal(np.concatenate(list(read_frames(path))), rows(1, 2, 3))
    assert not torn(path)


def test_cut_anywhere_it_keeps_the_whole_frames(tmp_path: Path) -> None:
    data = segment(tmp_path / "a.seg").read_bytes()
    start = data.index(b"FRAM")
    first_end = data.index(b"FRAM", start + 4)
    cut = tmp_path / "cut.seg"
    for length in range(start, len(data), 7):
        cut.write_bytes(data[:length])
        got = [int(s) for f in read_frames(cut) for s in f["seq"]]
        assert got == ([] if length < first_end else [1, 2])
        assert torn(cut) == (length not in (start, first_end))


def test_a_flipped_bit_ends_the_reading_there(tmp_path: Path) -> None:
    path = segment(tmp_path / "a.seg")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert [int(s) for f in read_frames(path) for s in f["seq"]] == [1, 2]
    assert torn(path)


def test_fields_are_matched_by_name_across_versions(tmp_path: Path) -> None:
    older = np.dtype([("seq", "<u4"), ("gone_field", "<i8")])
    writer = FrameWriter(tmp_path / "old.seg", older, {})
    writer.append(np.array([(7, 1)], dtype=older))
    writer.close()
    (frame,) = read_frames(tmp_path / "old.seg", REQUEST_DTYPE)
    assert frame["seq"].tolist() == [7]
    assert frame["end_ns"].tolist() == [0]


@pytest.mark.parametrize("data", [b"", b"GFR", b"PNG1\0\0\0\0", b"GFR1\xff\xff\0\0{}"])
def test_what_is_no_segment_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.seg").write_bytes(data)
    with pytest.raises(FrameError, match=r"x\.seg"):
        list(read_frames(tmp_path / "x.seg"))


def test_a_tail_sees_only_what_is_new_and_whole(tmp_path: Path) -> None:
    data = segment(tmp_path / "a.seg").read_bytes()
    growing = tmp_path / "b.seg"
    seen: list[int] = []
    tail: FrameTail | None = None
    for end in (3, 40, len(data) - 5, len(data)):
        growing.write_bytes(data[:end])
        tail = tail or FrameTail(growing, REQUEST_DTYPE)
        seen += [int(s) for f in tail.read_new() for s in f["seq"]]
    assert seen == [1, 2, 3]


def test_the_request_tail_forgets_what_is_old(tmp_path: Path) -> None:
    segment(tmp_path / "a.seg")
    tail = RequestTail(tmp_path, keep_s=1.5)
    assert tail.read(3_000_000_000)["seq"].tolist() == [2, 3]
    assert tail.read(4_000_000_000)["seq"].tolist() == [3]


def test_samples_round_trip(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path)
    writer.append(5, "gateway-1", [("up", {}, 1.0), ("rag_requests_total", {"route": "/a"}, 3.0)])
    writer.append(6, "gateway-1", [("up", {}, 0.0)])
    writer.close()
    assert list(read_series(tmp_path)) == [
        Series(0, "gateway-1", "up", {}),
        Series(1, "gateway-1", "rag_requests_total", {"route": "/a"}),
    ]
    assert read_samples(tmp_path).tolist() == [(5, 0, 1.0), (5, 1, 3.0), (6, 0, 0.0)]
