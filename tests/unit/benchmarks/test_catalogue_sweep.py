"""The sweep through the catalogue: its scenarios can be run, it leaves nothing out, and its table counts as it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.faults.registry import CATALOG
from harness.scenario.loader import load_text
from tests.benchmarks.catalogue_rows import FaultLine, RunLine, read, table, write
from tests.benchmarks.catalogue_scenarios import FAULT_S, RECOVERY_S, batches, calm, order, scenario

MISSED = FaultLine("live", 1, "cache.flush", True, False, False, None, "", 0.0, 0.0, False, (), (), False, "absorbed", "")
FOUND = replace(MISSED, fault="cache.down", recoverable=True, delay_s=1.5, ac_1=1.0, ac_3=1.0, kind_right=True, outcome="recovered")
RUN = RunLine("live", 1, 0, "runs/x", 4, ("LatencyHigh query",), 1800.0, 2, ("restart query-1",), (), ())


def test_each_fault_is_played_once_in_an_order_of_the_seed() -> None:
    played = [s.name for batch in batches(order(1), 24) for s in batch]
    elsewhere = {n for n, s in CATALOG.items() if s.family == "host"} | {"credentials.tls_certificate_expired"}
    assert sorted(played) == sorted(CATALOG.keys() - elsewhere)
    assert [s.name for s in order(1)] == [s.name for s in order(1)] != [s.name for s in order(2)]
    assert {s.family for s in order(1, ["cache", "llm.overloaded"])} == {"cache", "llm"}


@pytest.mark.parametrize("recovery", [True, False])
def test_the_scenarios_are_valid_and_leave_room_between_faults(recovery: bool) -> None:
    for specs in batches(order(3), 40):
        loaded = load_text(scenario("catalogue", specs, recovery=recovery), "catalogue.yaml").scenario
        starts = [f.offset_s for f in loaded.faults]
        assert starts == [n * (FAULT_S + RECOVERY_S) for n in range(len(specs))]
        assert bool(loaded.operator.command) is not recovery
    assert not load_text(calm(10), "calm.yaml").scenario.faults


def test_lines_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    write(path, [RUN, MISSED, FOUND])
    with path.open("a") as file:
        file.write('{"row": "FaultLine", "arm"')
    assert read(path) == ([RUN], [MISSED, FOUND])


def test_the_table_counts_what_was_effective() -> None:
    control = replace(FOUND, arm="no-recovery", outcome="not_recovered")
    without = replace(FOUND, fault="cache.slow", effective=False)
    text = table([RUN], [MISSED, FOUND, control, without])
    assert "| cache | 2 | 0.50 (1/2) | 1.5 s | 0.50 (1/2) | 0.50 (1/2) | 0.50 (1/2) | 1.00 (1/1) | 0.00 (0/1) |" in text
    assert "precision 0.75 (3/4); 1 false alarms in 0.50 h without a fault; needless actions 0.50 (1/2)" in text
    assert "not effective: cache.slow" in text
    assert "- missed cache.flush (seed 1)" in text
