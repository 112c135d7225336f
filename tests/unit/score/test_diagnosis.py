"""Diagnoses against known faults."""

from __future__ import annotations

import pytest

from harness.score.diagnosis import DiagnosisScore, chance, diagnose
from tests.history_builder import history


def score(*lines: str, fault: str = "30s fault latency@llm blast=generation,query fix=switch_provider") -> DiagnosisScore:
    told = history("0s steady_state", fault, *lines, "70s heal", "100s end")
    found = diagnose(told, told.faults[0])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("causes", "ac", "kind", "victim"),
    [
        ("llm/latency:0.9", (1, 1, 1), True, False),
        ("llm/errors:0.9", (1, 1, 1), False, False),
        ("generation/latency:0.9 llm/latency:0.5", (0, 1, 0.8), False, True),
        ("user/latency:0.9 cache/crash:0.6 llm/latency:0.5", (0, 1, 0.6), False, False),
        ("llm/latency:0.5 generation/latency:0.5", (0.5, 1, 0.9), True, False),  # a tie: the chance of being first
        ("generation/latency llm/latency", (0, 1, 0.8), False, True),  # no confidences: the order is the ranking
        ("generation/latency llm/latency:0.5", (1, 1, 1), True, False),  # none beside one is the least: there is one ranking
        ("llm/latency:0.9 llm/errors:0.8 generation/latency:0.7", (1, 1, 1), True, False),
        ("user/latency:0.9", (0, 0, 0), False, False),
        ("a/latency:0.9 b/latency:0.8 c/latency:0.7 llm/latency:0.6", (0, 0, 0), False, False),  # at most three are scored
    ],
)
def test_ranking(causes: str, ac: tuple[float, float, float], kind: bool, victim: bool) -> None:
    found = score(f"33s diagnosis {causes}")
    assert (found.ac_1, found.ac_3, found.avg_5) == pytest.approx(ac)
    assert (found.kind_right, found.victim_blamed, found.abstained, found.at_s) == (kind, victim, False, 3.0)


@pytest.mark.parametrize(
    ("lines", "named", "revisions"),
    [
        (["32s diagnosis query/latency:1", "36s diagnosis llm/latency:1"], "llm", 0),
        (["32s diagnosis query/latency:1", "34s action restart query", "36s diagnosis llm/latency:1"], "query", 1),
        (["36s diagnosis llm/latency:1", "34s action restart query"], None, 1),  # acted without any
        (["45s diagnosis llm/latency:1"], "llm", 0),
        (["45.1s diagnosis llm/latency:1"], None, 1),  # too late
        (["29s diagnosis llm/latency:1"], None, 0),  # before anything was wrong
        (["33s diagnosis llm/latency:1", "36s diagnosis"], None, 0),  # taken back
        ([], None, 0),
    ],
)
def test_the_one_in_force(lines: list[str], named: str | None, revisions: int) -> None:
    found = score(*lines)
    assert (found.causes[0].service if found.causes else None, found.revisions, found.abstained) == (named, revisions, named is None)


def test_a_diagnosis_made_while_the_fault_is_being_injected_counts() -> None:
    """It bit before the verb had returned; how soon is counted from the onset."""
    slowly = "29s intended latency@llm blast=generation,query fix=switch_provider"
    for at_s, named in (("28.9s", None), ("29.2s", "llm")):
        told = ["30s injected", "30s effective", f"{at_s} diagnosis llm/latency:1", "29.5s action switch_provider llm"]
        found = score(*told, fault=slowly)
        assert (found.causes[0].service if found.causes else None, found.at_s) == (named, 0.0 if named else None)


def test_an_edge_is_named_as_such_unless_the_fault_accepts_more() -> None:
    edge = "30s fault network@retrieval->postgres"
    assert score("33s diagnosis retrieval->postgres/network:1", fault=edge).ac_1 == 1
    assert score("33s diagnosis postgres/network:1", fault=edge).victim_blamed
    assert score("33s diagnosis postgres/network:1", fault=f"{edge} accepted=retrieval->postgres,postgres").ac_1 == 1


@pytest.mark.parametrize(
    ("causes", "ac_1", "ac_2"),
    [
        ("llm/crash:0.9 cache/crash:0.9", 1.0, 1.0),  # whichever comes first is right
        ("llm/crash:0.9 cache/crash:0.9 user/crash:0.9", 2 / 3, 1.0),
        ("llm/crash:0.9 user/crash:0.9 gateway/crash:0.9", 1 / 3, 2 / 3),
        ("user/crash:0.9 llm/crash:0.5 cache/crash:0.5", 0.0, 1.0),
    ],
)
def test_a_tie_among_right_names_costs_nothing(causes: str, ac_1: float, ac_2: float) -> None:
    """As of a host that was lost: whatever ran there may be named."""
    found = score(f"33s diagnosis {causes}", fault="30s fault crash@llm accepted=llm,cache")
    assert found.credits[:2] == pytest.approx((ac_1, ac_2))


def test_no_diagnosis_of_a_fault_without_onset() -> None:
    told = history("0s steady_state", "30s intended latency@llm", "100s end")
    assert diagnose(told, told.faults[0]) is None


def test_chance_level() -> None:
    assert [chance(1, 10), chance(3, 10), chance(3, 2), chance(1, 0)] == [0.1, 0.3, 1.0, 0.0]
