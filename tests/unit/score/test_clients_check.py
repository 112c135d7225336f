"""The check of a scenario on how its stack treats the providers."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from harness.gate import decide
from harness.record.provider import Exchange, ProviderJournal
from harness.scenario.model import CallerFinding
from harness.score.check import Status
from harness.score.clients_check import check
from harness.score.clients_rules import LEVELS
from harness.score.judge import judge
from tests.history_builder import START_NS, history, scenario
from tests.journal_builder import journal

NAME = "expect.run.callers"
RUN = ("0s steady_state", "30s fault", "70s recovery", "100s end")


def results(
    *lines: str, asked: dict[str, Any] | None = None, missing: tuple[str, ...] = (), run: tuple[str, ...] = RUN
) -> list[tuple[Any, ...]]:
    """(name, status, value, reason) of the check's results."""
    providers = (ProviderJournal("llm", journal(*lines), missing),)
    found = check(history(*run, providers=providers), scenario(expect=[{"callers": asked or {}}]))
    return [(r.name, r.status.value, r.value, r.reason) for r in found]


def test_callers_that_behave() -> None:
    assert results("40s 429 told=1", "41.1s 200") == [(NAME, "PASS", "none", "4 occasions to misbehave in 1 call that met trouble")]


@pytest.mark.parametrize(
    ("lines", "code", "reason"),
    [
        (["40s 429 told=2 for=0", "40.5s 200"], "retry_after_ignored", "1 of 1 times: told to wait 2s, came back after 0.5s"),
        (["40s 500"], "gave_up", "1 of 1 times: no attempt followed after 1 attempt, the last of which got 500"),
        (
            ["40s 0 fault=connection_hang left=31"],
            "no_read_timeout",
            "1 of 1 times: waited 31s on an answer that never came, more than 30s",
        ),
    ],
)
def test_every_finding_breaks_it_unless_it_is_allowed(lines: list[str], code: str, reason: str) -> None:
    assert results(*lines) == [(NAME, "FAIL", code, f"{code} by client/1, {reason}")]
    ((_, status, value, told),) = results(*lines, asked={"allow": [code]})
    assert (status, value, told.endswith(", in which 1 thing happened that the scenario allows")) == ("PASS", "none", True)


def test_evidence_counts_from_the_start_of_the_run() -> None:
    rows = journal("0s 400", "1s 400")
    at_s = START_NS / 1e9
    moved = tuple(Exchange("llm", r.seq, at_s + 40 + n, at_s + 40 + n, route=r.route, status=400, body="b") for n, r in enumerate(rows))
    (result,) = check(history(*RUN, providers=(ProviderJournal("llm", moved),)), scenario(expect=[{"callers": {}}]))
    assert result.evidence == ("retried_non_retryable llm #1 400, #2 400, POST /v1/chat/completions at 40.00s: asked again after 400",)


def test_the_read_timeout_can_be_set() -> None:
    assert results("40s 0 fault=connection_hang left=6", asked={"read_timeout": "5s"})[0][:2] == (NAME, "FAIL")


def test_amplification_has_a_result_of_its_own() -> None:
    lines = [*(f"{40 + n}s 500" for n in range(5)), "46s 200"]
    assert [r[:3] for r in results(*lines)] == [(NAME, "FAIL", "retry_amplification")]
    assert results(*lines, asked={"amplification": "<= 5"}) == [
        (NAME, "PASS", "none", "4 occasions to misbehave in 1 call that met trouble"),
        (f"{NAME}.amplification", "FAIL", 6.0, "6 attempts per call that met trouble, 6 at most"),
    ]
    assert results(*lines, asked={"amplification": "<= 6"})[1][:3] == (f"{NAME}.amplification", "PASS", 6.0)


BOTH = {"amplification": "<= 3"}


@pytest.mark.parametrize(
    ("lines", "missing", "run", "reason"),
    [
        (["40s 200"], (), RUN, "nothing to grade: no caller met any trouble"),
        ([], (), RUN, "the journal holds no request of any caller"),
        (["40s 400", "41s 400"], ("3 rows were lost",), RUN, "rows are missing from the providers' journals: llm: 3 rows were lost"),
        (["40s 400", "41s 400"], (), (*RUN, "50s interrupted"), "the run was stopped early, which cut calls short"),
        (
            ["40s 400", "41s 400"],
            (),
            (*RUN[:3], "90s cut"),
            "the record stops 90s into the run, in or after recovery: the harness was cut off",
        ),
    ],
)
def test_what_leaves_it_open(lines: list[str], missing: tuple[str, ...], run: tuple[str, ...], reason: str) -> None:
    found = results(*lines, asked=BOTH, missing=missing, run=run)
    assert [r[1:] for r in found] == [("INCONCLUSIVE", None, reason)] * 2


def test_a_run_without_journals_never_passes() -> None:
    asked = scenario(expect=[{"callers": {}}])
    verdict = decide(judge(history(*RUN), asked), asked)
    (result,) = (r for r in verdict.results if r.name == NAME)
    assert (result.status, result.reason) == (Status.INCONCLUSIVE, "no provider's journal was recorded")
    assert verdict.status is not Status.PASS


def test_a_scenario_names_the_findings_that_there_are() -> None:
    assert set(get_args(CallerFinding)) == set(LEVELS)
