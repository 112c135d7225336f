"""A version compared with itself does not fail, on machines that disturb it; a worse one does (all of it: tests/benchmarks/gate_power.py).

200 pairs a cell, seeded: a share of 1 % of them is known to about 0.7 %.
"""

from __future__ import annotations

from collections import Counter

import pytest

from harness.score.effect import Design
from tests.benchmarks import objective_power
from tests.benchmarks.gate_histories import KINDS, Kind
from tests.benchmarks.gate_power import Cell, chunk
from tests.benchmarks.trials import CHUNK

BY_NAME = {kind.name: kind for kind in KINDS}


def told(design: Design, kind: Kind, change: str, part: float, chunks: int = 4) -> dict[str, float]:
    cell = Cell(design, kind, change, part)
    found: Counter[str] = Counter()
    for number in range(chunks):
        found += chunk(cell, number)
    return {status: found[status] / (chunks * CHUNK) for status in ("FAIL", "PASS", "INCONCLUSIVE")}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_version_does_not_fail_against_itself(kind: Kind) -> None:
    assert told("interleaved", kind, "none", 0.5)["FAIL"] <= 0.02


@pytest.mark.parametrize("name", ["drifting", "autocorrelated 6%"])
def test_nor_does_a_run_that_follows_another(name: str) -> None:
    assert told("sequential", BY_NAME[name], "none", 0.1)["FAIL"] <= 0.02


@pytest.mark.parametrize("change", ["p95 +10%", "availability -1%", "recall -5 points"])
def test_a_worse_version_is_found_at_the_default_length(change: str) -> None:
    assert told("interleaved", BY_NAME["autocorrelated 6%"], change, 1.0, chunks=2)["FAIL"] >= 0.95


def test_too_short_a_run_does_not_pass_it() -> None:
    found = told("interleaved", BY_NAME["autocorrelated 3%"], "p95 +10%", 0.1)
    assert found["PASS"] <= 0.01
    assert found["INCONCLUSIVE"] > 0.3


@pytest.mark.parametrize("name", ["drifting", "autocorrelated 6%"])
def test_an_objective_relative_to_a_baseline_run_does_not_blame_noise_and_does_not_pass_by_accident(name: str) -> None:
    """All of it: tests/benchmarks/objective_power.py."""
    cell = objective_power.Cell("baseline", BY_NAME[name], 0.25)
    found: Counter[str] = Counter()
    for number in range(2):
        found += objective_power.chunk(cell, number)
    share = {question: count / objective_power.trials(found) for question, count in found.items()}
    for sli in ("latency_p95", "availability"):
        assert share.get(f"{sli} 0x=FAIL", 0.0) <= 0.02
        assert share.get(f"{sli} 1x=PASS", 0.0) <= 0.03
