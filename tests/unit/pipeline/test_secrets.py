"""Nothing of a secret is left in what is written down."""

from __future__ import annotations

from pathlib import Path

from harness.pipeline.secrets import Masks

MASKS = Masks(["hunter22", "hunter22-and-more", "abc"])


def test_text_and_data() -> None:
    assert MASKS.text("a hunter22-and-more b hunter22 abc") == "a *** b *** abc"
    assert MASKS.data({"hunter22": ["x hunter22", 3, None]}) == {"***": ["x ***", 3, None]}


def test_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "text").write_text("key=hunter22\r\n", encoding="utf-8", newline="")
    (tmp_path / "fine").write_bytes(b"\xff\xfe")
    (tmp_path / "binary").write_bytes(b"\xff hunter22 \xfe")
    assert MASKS.files(tmp_path) == [tmp_path / "binary"]
    assert (tmp_path / "in" / "text").read_bytes() == b"key=***\r\n"
    assert not (tmp_path / "binary").exists() and (tmp_path / "fine").exists()


def test_a_large_file_is_searched_piece_by_piece(tmp_path: Path, monkeypatch: object) -> None:
    from harness.pipeline import secrets

    monkeypatch.setattr(secrets, "_LARGEST_BYTES", 8)  # type: ignore[attr-defined]
    (tmp_path / "held").write_bytes(b"x" * ((1 << 20) - 4) + b"hunter22")
    (tmp_path / "not").write_bytes(b"x" * (1 << 20))
    assert MASKS.files(tmp_path) == [tmp_path / "held"]
