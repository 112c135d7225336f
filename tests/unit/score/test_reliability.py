"""The algebra of availability, and what it predicts beside what users got."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.record.requests import Outcome
from harness.scenario.reliability import Block, Figures, Reliability, at_least, availability
from harness.score import reliability
from harness.score.check import Result, Status
from tests.history_builder import history, scenario, together, traffic


def block(**fields: Any) -> Block:
    return Block.model_validate(fields)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (block(series=["a", "b"]), 0.9 * 0.8),
        (block(parallel=["a", "b"]), 1 - 0.1 * 0.2),
        (block(series=["c", {"parallel": ["a", "b"]}]), 0.5 * 0.98),
        (block(at_least=2, of=["a", "b", "c"]), 0.9 * 0.8 * 0.5 + 0.9 * 0.8 * 0.5 + 0.9 * 0.2 * 0.5 + 0.1 * 0.8 * 0.5),
        (block(parallel=[{"series": ["a", "b"]}, "c"]), 1 - (1 - 0.72) * 0.5),
    ],
)
def test_series_parallel_and_k_of_n(part: Block, expected: float) -> None:
    assert availability(part, {"a": 0.9, "b": 0.8, "c": 0.5}.__getitem__) == pytest.approx(expected)


def test_mtbf_and_mttr() -> None:
    """A day between failures and 30 s to repair: 99.965 %; two of them in parallel: seven nines."""
    one = Figures.model_validate({"mtbf": "24h", "mttr": "30s"}).expected()
    assert one == pytest.approx(86400 / 86430)
    assert 1 - at_least(1, [one, one]) == pytest.approx((30 / 86430) ** 2)
    assert Figures.model_validate({"mtbf": "24h", "mttr": "30s"}).expected(600) == pytest.approx(86400 / 87000)
    assert Figures.model_validate({"availability": "99.9%"}).expected(600) == pytest.approx(0.999)


@given(st.lists(st.floats(0, 1), max_size=6), st.integers(0, 6))
def test_at_least_is_the_sum_over_all_cases(shares: list[float], needed: int) -> None:
    total = 0.0
    for ups in product((True, False), repeat=len(shares)):
        if sum(ups) >= needed:
            chance = 1.0
            for share, up in zip(shares, ups, strict=True):
                chance *= share if up else 1.0 - share
            total += chance
    assert at_least(needed, shares) == pytest.approx(total)


# Beside a run: two replicas of retrieval, behind a gateway. One dies at 30 s, and is back at 50 s.

UP = ("0s ready gateway-1", "0s ready retrieval-1", "0s ready retrieval-2")
RUN = ("0s steady_state", "30s fault", "30s fault crash@retrieval-2", "60s heal", "60s recovery", "90s end")
DIES = ("30.5s down retrieval-2", "50s ready retrieval-2")
PHASES = {"steady_state": "30s", "fault": "30s", "recovery": "30s"}
FAULTS = [{"id": "f", "type": "process.kill", "target": "retrieval-2", "at": "fault", "for": "30s"}]
SYSTEM = {"series": ["gateway", "retrieval"]}
FIGURES = {"gateway": {"availability": "99.99%"}, "retrieval": {"mtbf": "1h", "mttr": "30s"}}


def judged(*lines: str, rows: NDArray[Any] | None = None, **asked: Any) -> Result:
    of = history(*UP, *RUN, *lines, requests=rows if rows is not None else traffic(0, 90))
    given = {"system": SYSTEM, "components": FIGURES, **asked}
    (result,) = reliability.check(of, scenario(phases=PHASES, faults=FAULTS, reliability=given))
    return result


def lost(from_s: float, to_s: float) -> NDArray[Any]:
    return together(traffic(0, from_s), traffic(from_s, to_s, outcome=Outcome.ERROR), traffic(to_s, 90))


def test_redundancy_that_is_worth_what_the_model_says() -> None:
    assert judged(*DIES, shortfall="<= 2%") == Result(
        name="reliability.shortfall",
        group="reliability",
        status=Status.PASS,
        reason="100% served, 100% by the up-times of its parts: keeps <= 2%, n=2175",
        value=0.0,
        limit="<= 2%",
        unit="ratio",
        samples=2175,
        evidence=(
            "0 requests failed while the system was up by its parts, 0 were served while it was down",
            "by the up-times of its parts alone, independent of one another: 100%",
            "retrieval-2 was up 78.33% of the run",
        ),
    )


def test_redundancy_that_is_not() -> None:
    """One replica is gone, and half of the requests fail although the other one is there."""
    rows = together(traffic(0, 30), traffic(30, 50, every={2: {"outcome": Outcome.ERROR}}), traffic(50, 90))
    found = judged(*DIES, rows=rows, shortfall="<= 2%")
    assert (found.status, found.value) == (Status.FAIL, 0.103448)
    assert found.evidence[0].startswith("225 requests failed while the system was up by its parts")


def test_what_the_parts_explain_is_no_shortfall() -> None:
    """Without redundancy the outage is what the up-times predict."""
    asked = {"system": {"series": ["gateway", "retrieval-1", "retrieval-2"]}, "shortfall": "<= 2%"}
    assert judged(*DIES, rows=lost(30, 50), **asked).status is Status.PASS
    assert judged(*DIES, rows=lost(30, 60), **asked).status is Status.FAIL
    saved = judged(*DIES, rows=traffic(0, 90), **asked)
    assert (saved.status, saved.value) == (Status.PASS, -0.206897)


def test_common_failures_are_not_blamed_on_the_system() -> None:
    """Both replicas die at once: independent parts would have left some time, and the run itself is what counts."""
    lines = (*DIES, "30.5s down retrieval-1", "50s ready retrieval-1")
    found = judged(*lines, rows=lost(30, 50), shortfall="<= 2%")
    assert found.status is Status.PASS
    assert found.evidence[1].endswith("independent of one another: 95.31%")


def test_a_part_that_nobody_looked_at() -> None:
    found = judged(system={"series": ["gateway", "llm"]}, shortfall="<= 2%")
    assert (found.status, found.reason) == (Status.INCONCLUSIVE, "the record does not say whether llm was up")


def test_too_few_requests() -> None:
    of = history(*UP, *RUN, requests=traffic(0, 90, 1))
    asked = scenario(
        phases=PHASES, faults=FAULTS, load={"shape": [{"constant": "1/s"}]}, reliability={"system": SYSTEM, "shortfall": "<= 1%"}
    )
    (found,) = reliability.check(of, asked)
    assert (found.status, found.reason) == (Status.INCONCLUSIVE, "90 requests cannot prove <= 1%; 299 could")


def test_the_target_counts_with_the_repair_times_of_the_run() -> None:
    found = judged(*DIES, target=">= 99.9%")
    assert (found.status, found.samples) == (Status.PASS, 1)
    assert found.value == pytest.approx(0.9999 * (1 - (30 / 3630) * (19.5 / 3619.5)), abs=1e-6)
    assert found.evidence == ("retrieval-2 was down 1 times, for 19.5s on average, declared 30s",)
    single = {"system": {"series": ["gateway", "retrieval-2"]}}
    assert judged(*DIES, target=">= 99.4%", **single).status is Status.PASS
    assert judged(*DIES, target=">= 99.5%", **single).status is Status.FAIL


def test_what_was_not_repaired_by_itself_is_at_most_so_available() -> None:
    single = {"system": {"series": ["gateway", "retrieval-2"]}}
    found = judged("30.5s down retrieval-2", "61s ready retrieval-2", target=">= 99%", **single)
    assert found.status is Status.INCONCLUSIVE
    assert found.reason.startswith("at most 99.1773% by its failure rates")
    assert found.evidence == ("retrieval-2 was down 1 times, for at least 29.5s on average, declared 30s",)
    assert judged("30.5s down retrieval-2", target=">= 99.5%", **single).status is Status.FAIL  # even if it had been back just then


def test_a_run_in_which_nothing_failed_measures_no_repair() -> None:
    assert judged(target=">= 99%").reason == "none of its parts failed in this run, so no time to repair was measured"


def test_the_model_reads_as_it_is_written() -> None:
    model = Reliability.model_validate({"system": {"series": ["a", {"parallel": ["b", "a"]}]}, "shortfall": "<= 2%"})
    assert model.leaves == ["a", "b"]
