"""Rows are whole, field by field; a load process that is killed in the middle of its work loses at most the frame that it was writing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.observation import Observation
from harness.load.recorder import SEGMENT, packed
from harness.record import store
from harness.record.pieces import PIECE_ROWS
from harness.record.requests import BASE, CANDIDATE, CITATIONS_KEPT, NOTHING, REQUEST, SOURCES_KEPT

FIELDS = {name: REQUEST[name] for name in REQUEST.names or ()}
LISTS = {"sources": SOURCES_KEPT, "citations": CITATIONS_KEPT}


@given(st.data(), st.lists(st.integers(0, 99), max_size=12), st.lists(st.integers(0, 99), max_size=8), st.sampled_from([BASE, CANDIDATE]))
def test_a_row_has_every_field_of_the_request(data: st.DataObject, sources: list[int], citations: list[int], side: int) -> None:
    plain = {name: kind for name, kind in FIELDS.items() if name not in LISTS and name != "side"}
    limits = {name: np.iinfo(kind) for name, kind in plain.items()}
    values = {name: data.draw(st.integers(limit.min, limit.max), label=name) for name, limit in limits.items()}
    lists = {"sources": sources, "citations": citations}
    (row,) = packed([Observation(**values, **lists, side=side)])
    assert {name: row[name] for name in plain} == values and row["side"] == side
    for name, kept in LISTS.items():
        assert row[name].tolist() == (lists[name] + [NOTHING] * kept)[:kept]


WRITER = """
import sys
from pathlib import Path
from harness.load.observation import Observation
from harness.load.recorder import Recorder

recorder = Recorder(Path(sys.argv[1]), ("ask",))
for seq in range(10**9):
    recorder.add(Observation(seq, 0, 10**12 + seq, end_ns=10**12 + seq + 1))
    if seq % 100 == 0:
        recorder.flush()
        sys.stdout.write(f"{seq}\\n")
        sys.stdout.flush()
"""


@pytest.mark.parametrize("reports", [1, 50, 400])
def test_killed_while_it_writes(reports: int, tmp_path: Path) -> None:
    """`kill -9` at no chosen moment: what it said was written is there, whole and in order, and nothing is made up."""
    run = store.RunDirectory(tmp_path)
    run.requests.mkdir()
    store.write_run_file(run, {})
    with subprocess.Popen([sys.executable, "-c", WRITER, str(run.requests)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(reports)]
        writer.kill()
        told += [int(line) for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    history = store.read(tmp_path)
    seq = history.requests["seq"].tolist()
    assert seq == list(range(len(seq)))
    assert told[-1] + 1 <= len(seq) <= told[-1] + 1 + 100, "at most the frame after the last one that was told"
    assert history.damage in ((), (f"{SEGMENT}: the last frame is torn",))
    assert len(list(history.requests.pieces())) == -(-len(seq) // PIECE_ROWS)
