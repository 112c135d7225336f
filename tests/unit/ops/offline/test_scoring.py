"""`gauntlet detect`: rows in, rows out, and one clear line for a file that cannot be used."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.ops.offline.cells import number, seconds


def detect(file: Path, *more: str, value: str = "value") -> Result:
    out = str(file.with_suffix(".out.csv"))
    return CliRunner().invoke(cli, ["detect", str(file), "--timestamp-col", "timestamp", "--value-col", value, "--out", out, *more])


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def scores(file: Path) -> list[float]:
    with file.with_suffix(".out.csv").open(encoding="utf-8", newline="") as out:
        return [float(row["anomaly_score"]) for row in csv.DictReader(out)]


def wave(n: int, spike: int | None = None) -> list[str]:
    """A cycle of 50 points with a little irregularity."""
    values = [10 + math.sin(i / 50 * 2 * math.pi) + 0.1 * math.sin(i * i) + (8 if i == spike else 0) for i in range(n)]
    return ["timestamp,value", *(f"2026-01-01 {i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02},{v:.4f}" for i, v in enumerate(values))]


def test_a_spike_scores_highest_and_every_row_comes_out_as_it_went_in(tmp_path: Path) -> None:
    lines = wave(900, spike=700)
    file = write(tmp_path / "a.csv", lines)
    ended = detect(file)
    assert ended.exit_code == 0, ended.output
    found = scores(file)
    assert len(found) == 900 and found.index(max(found)) == 700 and found[700] > 0.9
    assert all(0 <= s <= 1 for s in found)
    written = file.with_suffix(".out.csv").read_text(encoding="utf-8").splitlines()
    assert [line.rsplit(",", 1)[0] for line in written] == lines


def test_scores_do_not_depend_on_later_rows(tmp_path: Path) -> None:
    lines = wave(900, spike=700)
    whole, part = write(tmp_path / "whole.csv", lines), write(tmp_path / "part.csv", lines[:702])
    assert detect(whole).exit_code == detect(part).exit_code == 0
    assert scores(whole)[:701] == scores(part)


def test_holes_repeats_and_steps_back_are_rows_like_others(tmp_path: Path) -> None:
    lines = wave(600)
    lines[300] = lines[300].split(",")[0] + ","
    lines[301] = lines[301].split(",")[0] + ",NaN"
    lines[302] = lines[302].split(",")[0] + ",inf"
    lines[400] = lines[399]
    lines[401], lines[402] = lines[402], lines[401]
    file = write(tmp_path / "a.csv", lines)
    ended = detect(file)
    assert ended.exit_code == 0 and "600 rows scored by ensemble, 3 of them without a value" in ended.output
    assert scores(file)[299:302] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "a.csv:1: is empty; the first line names the columns"),
        (["timestamp,value"], "a.csv:2: there are no rows below the header"),
        (["timestamp,valeu", "1,2"], "a.csv:1: there is no column 'value'; did you mean 'valeu'?"),
        (["timestamp,value,value", "1,2,3"], "a.csv:1: 2 columns are named 'value'; rename all but one"),
        (["timestamp,value", "1,2", "2"], "a.csv:3: 1 fields where the header has 2"),
        (["timestamp,value", "1,2", "2,much"], "a.csv:3: value is 'much'; write a number, or nothing where it is missing"),
        (["timestamp,value", "soon,2"], "a.csv:2: timestamp is 'soon'; write a number, or a date such as 2026-01-31 12:00:00"),
        (["timestamp,value,anomaly_score", "1,2,0"], "a.csv:1: has a column 'anomaly_score' already; remove it, or name another file"),
    ],
)
def test_a_bad_file_is_one_clear_line_and_leaves_nothing(tmp_path: Path, lines: list[str], says: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    ended = detect(file)
    assert ended.exit_code == 2
    assert ended.output == f"{tmp_path}/{says}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_no_file_no_detector_no_text(tmp_path: Path) -> None:
    assert "nowhere.csv: cannot be read: No such file or directory" in detect(tmp_path / "nowhere.csv").output
    file = write(tmp_path / "a.csv", wave(3))
    ended = detect(file, "--detector", "oracle")
    assert ended.exit_code == 2 and "no such detector: 'oracle'; write one of " in ended.output
    file.write_bytes(b"timestamp,value\n1,\xff\n")
    assert "is no UTF-8 text" in detect(file).output


def test_times_and_numbers() -> None:
    assert seconds("1700000000") == seconds("1700000000000") == seconds("1700000000000000000") == seconds("2023-11-14T22:13:20Z")
    assert seconds("11/14/2023 22:13") == seconds("2023-11-14 22:13:00") == seconds("1699999980")
    assert math.isnan(number(" NaN ")) and math.isnan(number("")) and math.isnan(number("-inf")) and number("1e3") == 1000
    for text in ("1_000", "ten"):
        with pytest.raises(ValueError, match="could not convert"):
            number(text)


@pytest.mark.parametrize("name", ["mewma", "pca", "mmd"])
def test_several_columns_are_scored_together(tmp_path: Path, name: str) -> None:
    """Two columns that moved together no longer do, each within its own range: nobody who looks at one of them sees it."""
    rng = np.random.default_rng(4)
    shared = rng.normal(0, 1, 700)
    other = np.where(np.arange(700) < 500, shared, -shared) + rng.normal(0, 0.1, 700)
    rows = [f"{i},{a:.5f},{b:.5f}" for i, (a, b) in enumerate(zip(shared, other, strict=True))]
    file = write(tmp_path / "a.csv", ["timestamp,value,second", *rows])
    ended = detect(file, "--value-col", "second", "--detector", name)
    assert ended.exit_code == 0, ended.output
    found = scores(file)
    assert max(found[500:]) > 0.5 and max(found[:500]) < max(found[500:])


def test_one_column_and_several_detectors_that_take_one(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", ["timestamp,value,second", *(f"{i},{i % 7},{i % 5}" for i in range(300))])
    assert detect(file, "--detector", "mewma").exit_code == 0
    ended = detect(file, "--value-col", "second", "--detector", "ewma")
    assert ended.exit_code == 2 and "ewma scores one column, not 2; write one of mewma, pca, mmd" in ended.output
    ended = detect(file, "--detector", "nope")
    assert ended.exit_code == 2 and "no such detector: 'nope'; write one of adwin" in ended.output and "mewma" in ended.output
