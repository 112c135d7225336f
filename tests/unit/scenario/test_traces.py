"""Traces in the formats of their publishers, and what is said of files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.scenario.traces import TraceError, read_trace

AZURE_2023 = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:01:50.9951383,374,44
2023-11-16 18:01:51.4951383,396,109
"""
AZURE_2024 = """TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-10 00:00:01.509930+00:00,2399,6
"""
BURSTGPT = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45.5,ChatGPT,1087,0,1087,Conversation log
"""
MOONCAKE = """{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}

{"timestamp": 30535, "input_length": 6472, "output_length": 26, "hash_ids": [46]}
"""


@pytest.mark.parametrize(
    ("text", "format_name", "offsets_s"),
    [
        (AZURE_2023, "azure", [0.0, 0.5]),
        (AZURE_2024, "azure", [0.0, 1.5]),
        (BURSTGPT, "burstgpt", [0.0, 40.5]),
        (MOONCAKE, "mooncake", [0.0, 3.053]),
        ("Model,Timestamp\n\nx,9\nx,7\n", "burstgpt", [0.0, 2.0]),  # another order of columns, and of lines
    ],
)
def test_each_format_is_read(tmp_path: Path, text: str, format_name: str, offsets_s: list[float]) -> None:
    file = tmp_path / "trace"
    file.write_text(text)
    assert list(read_trace(str(file), format_name).offsets_s) == pytest.approx(offsets_s, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "format_name", "message"),
    [
        (BURSTGPT, "azure", r"trace:1:1: the first line names no column 'TIMESTAMP'; it has Timestamp, Model"),
        ("", "azure", r"trace:1:1: .* it has nothing"),
        ("TIMESTAMP,x\n", "azure", r"no arrivals in it"),
        ("x,TIMESTAMP\n1,yesterday\n", "azure", r"trace:2:3: 'yesterday' is no TIMESTAMP; write it like 2023"),
        ("Timestamp\n1\nnan\n", "burstgpt", r"trace:3:1: 'nan' is no Timestamp"),
        ("x,Timestamp\n1\n", "burstgpt", r"trace:2:3: '' is no Timestamp"),
        ('{"timestamp": 1}\n{"time": 2}\n', "mooncake", r"trace:2:1: no JSON object with a numeric `timestamp`"),
        ("[1]\n", "mooncake", r"trace:1:1"),
        ('{"timestamp": true}\n', "mooncake", r"trace:1:1"),
    ],
)
def test_what_is_no_trace_is_refused_with_its_place(tmp_path: Path, text: str, format_name: str, message: str) -> None:
    file = tmp_path / "trace"
    file.write_text(text)
    with pytest.raises(TraceError, match=message):
        read_trace(str(file), format_name)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"nowhere\.csv: No such file"):
        read_trace(str(tmp_path / "nowhere.csv"), "azure")
    with pytest.raises(TraceError, match="give the directory of a run"):
        read_trace(str(tmp_path), "record")


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "trace"
    file.write_text("Timestamp\n1\n2\n")
    assert len(read_trace(str(file), "burstgpt").offsets_s) == 2
    file.write_text("Timestamp\n1\n2\n3\n")
    assert len(read_trace(str(file), "burstgpt").offsets_s) == 3
