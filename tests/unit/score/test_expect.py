"""What a scenario expects of the operator, entry by entry."""

from __future__ import annotations

from typing import Any

import pytest

from harness.score import expect
from harness.score.check import Result, Status
from tests.history_builder import at_ns, history, scenario, together, traffic

SLOW = "30s fault latency@llm fix=switch_provider blast=generation,query"
EDGE = "30s fault network@retrieval->postgres blast=query"
BENIGN = "30s fault none@retrieval benign"
BROKEN = together(traffic(0, 30), traffic(30, 38, latency_s=4.0), traffic(38, 100))
PASS, FAIL, UNKNOWN = Status.PASS, Status.FAIL, Status.INCONCLUSIVE


def judged(entry: dict[str, Any], *lines: str, fault: str = SLOW, requests: Any = BROKEN, **fields: Any) -> Result:
    asked = scenario(
        faults=[{"id": "f", "type": "t", "target": "llm", "for": "40s"}],
        objectives={"steady_state": {"availability": ">= 99%", "latency_p95": "<= 800ms"}},
        expect=[entry],
        **fields,
    )
    told = history("0s steady_state", "30s fault", fault, *lines, "70s heal", "70s recovery", "100s end", requests=requests)
    (result,) = expect.check(told, asked)
    return result


def of_fault(field: str, value: Any, *lines: str, **fields: Any) -> Result:
    return judged({"fault": "f", field: value}, *lines, **fields)


def test_whole_result() -> None:
    assert of_fault("alert", "<= 10s", "33.25s alert generation name=Slow", "34s alert llm") == Result(
        name="expect.f.alert",
        group="expect",
        status=PASS,
        reason="Slow on generation 3.25s after onset, 1 duplicates",
        value=3.25,
        limit="<= 10s",
        unit="s",
        samples=1,
    )


@pytest.mark.parametrize(
    ("lines", "status"),
    [(["33s alert llm"], PASS), (["41s alert llm"], FAIL), ([], FAIL), (["33s alert user"], FAIL), (["10s operator exited"], UNKNOWN)],
)
def test_alert(lines: list[str], status: Status) -> None:
    assert of_fault("alert", "<= 10s", *lines).status is status


def test_no_alert_can_be_right_about_a_benign_change() -> None:
    assert of_fault("alert", "<= 10s", "33s alert retrieval", fault=BENIGN).status is UNKNOWN


USERS = {"UserLatencyHigh": "<= 10s"}


@pytest.mark.parametrize(
    ("lines", "status", "value"),
    [
        (["31s alert llm name=LatencyHigh", "38s alert generation name=UserLatencyHigh"], PASS, 8.0),
        (["31s alert llm name=LatencyHigh", "41s alert generation name=UserLatencyHigh"], FAIL, 11.0),
        (["31s alert llm name=LatencyHigh"], FAIL, None),
        (["31s alert user name=UserLatencyHigh"], FAIL, None),  # nothing that the fault touches
        (["20s alert llm name=UserLatencyHigh"], FAIL, None),  # before the fault
        (["10s operator exited"], UNKNOWN, None),
    ],
)
def test_an_alert_of_that_name(lines: list[str], status: Status, value: float | None) -> None:
    result = of_fault("alerts", USERS, *lines)
    assert (result.name, result.status, result.value) == ("expect.f.alerts.UserLatencyHigh", status, value)


def test_an_alert_of_another_name_is_told() -> None:
    reason = "no alert UserLatencyHigh on a service of the blast radius; LatencyHigh"
    assert of_fault("alerts", USERS, "31s alert llm name=LatencyHigh").reason == reason
    assert of_fault("alerts", USERS).reason.endswith("; no other either")
    assert of_fault("alerts", USERS, fault=BENIGN).status is UNKNOWN


LLM = {"service": "llm", "kind": "latency"}
TO_DB = {"edge": "retrieval->postgres", "kind": "network"}


@pytest.mark.parametrize(
    ("fault", "wanted", "lines", "status"),
    [
        (SLOW, LLM, ["33s diagnosis llm/latency:0.9 generation/latency:0.1"], PASS),
        (SLOW, LLM, ["33s diagnosis llm/errors:0.9"], FAIL),
        (SLOW, LLM, ["33s diagnosis generation/latency:0.9 llm/latency:0.1"], FAIL),
        (SLOW, LLM, ["33s diagnosis llm/latency:0.5 generation/latency:0.5"], FAIL),
        (SLOW, LLM, ["33s diagnosis"], FAIL),
        (SLOW, LLM, [], FAIL),
        (SLOW, {"service": "cache", "kind": "crash"}, ["33s diagnosis llm/latency:0.9"], FAIL),
        (EDGE, TO_DB, ["33s diagnosis retrieval->postgres/network:0.9"], PASS),
        (EDGE, TO_DB, ["33s diagnosis postgres/network:0.9"], FAIL),
        (f"{EDGE} accepted=retrieval->postgres,postgres", TO_DB, ["33s diagnosis postgres/network:0.9"], PASS),
        (BENIGN, "none", [], PASS),
        (BENIGN, "none", ["33s diagnosis"], PASS),
        (BENIGN, "none", ["33s diagnosis retrieval/crash:0.9"], FAIL),
        (BENIGN, "none", ["50s operator exited"], UNKNOWN),
    ],
)
def test_root_cause(fault: str, wanted: Any, lines: list[str], status: Status) -> None:
    assert of_fault("root_cause", wanted, *lines, fault=fault).status is status


def test_a_root_cause_that_is_right_too_late() -> None:
    """Counted is when it is first named right, not when the diagnosis in force was told; one that is never right fails as ever."""
    prompt = {**LLM, "within": "<= 5s"}
    early = ["33s diagnosis llm/latency:0.9", "38s diagnosis llm/latency:0.9 generation/latency:0.1"]
    late = ["33s diagnosis generation->llm/network:0.8", "38s diagnosis llm/latency:0.9"]
    assert of_fault("root_cause", prompt, *early).status is PASS
    result = of_fault("root_cause", prompt, *late)
    assert (result.status, result.value, result.limit) == (FAIL, "llm / latency", "llm / latency")
    assert result.reason == "named first 8s after onset, right first 8s after onset (within <= 5s)"
    assert of_fault("root_cause", LLM, *late).status is PASS
    assert of_fault("root_cause", prompt, "33s diagnosis llm/errors:0.9").status is FAIL


def test_reasons_of_a_wrong_root_cause() -> None:
    result = of_fault("root_cause", LLM, "33s diagnosis generation/latency:0.9 llm/latency:0.1")
    assert (result.value, result.reason) == (
        "generation / latency",
        "named first 3s after onset: a service that only suffers from the fault",
    )
    assert result.evidence == ("generation / latency (0.9)", "llm / latency (0.1)")
    assert of_fault("root_cause", LLM).reason == "no diagnosis was in force at the first action or 15s after onset"


@pytest.mark.parametrize(
    ("wanted", "lines", "status", "fields"),
    [
        ("recovered", ["38s action switch_provider llm"], PASS, {}),
        (["absorbed", "recovered"], ["38s action switch_provider llm"], PASS, {}),
        ("recovered", [], FAIL, {}),
        ("recovered", ["10s operator exited"], UNKNOWN, {}),
        ("self_healed", ["10s operator exited"], PASS, {}),
        ("recovered", [], UNKNOWN, {"operator": {"enabled": False}}),
        ("absorbed", [], FAIL, {"operator": {"enabled": False}}),  # the no-recovery arm: nobody was meant to help
    ],
)
def test_outcome(wanted: Any, lines: list[str], status: Status, fields: dict[str, Any]) -> None:
    assert of_fault("outcome", wanted, *lines, **fields).status is status


@pytest.mark.parametrize(("limit", "status"), [("<= 8s", PASS), ("<= 7s", FAIL)])
def test_within(limit: str, status: Status) -> None:
    result = of_fault("within", limit, "38s action switch_provider llm")
    assert (result.status, result.value) == (status, 8.0)


@pytest.mark.parametrize(
    ("wanted", "lines", "status"),
    [
        (True, ["40s escalation llm"], PASS),
        (True, [], FAIL),
        (True, ["20s escalation llm"], FAIL),
        (False, [], PASS),
        (False, ["40s escalation llm"], FAIL),
        (False, ["60s operator exited"], UNKNOWN),
    ],
)
def test_escalated(wanted: bool, lines: list[str], status: Status) -> None:
    assert of_fault("escalated", wanted, *lines).status is status


@pytest.mark.parametrize(
    ("wanted", "lines", "status"),
    [
        ("switch_provider", ["40s action switch_provider llm"], PASS),
        ("switch_provider", ["40s action switch_provider generation"], PASS),
        ("switch_provider", ["40s action switch_provider user"], FAIL),  # where it helps nobody
        ("switch_provider", ["40s action switch_provider llm status=failed"], UNKNOWN),
        ("switch_provider", ["40s action switch_provider llm status=failed", "45s action switch_provider llm"], PASS),
        ("restart", ["40s action restart user"], PASS),  # no verb that heals the fault: the author wants it for its own sake
        ("switch_provider", ["40s action restart llm"], FAIL),
        ("switch_provider", [], FAIL),
        (["switch_provider", "none"], [], PASS),
        ("none", [], PASS),
        ("none", ["40s action restart llm"], FAIL),
        ("none", ["60s operator exited"], UNKNOWN),
    ],
)
def test_action(wanted: Any, lines: list[str], status: Status) -> None:
    assert of_fault("action", wanted, *lines).status is status


@pytest.mark.parametrize(
    ("field", "limit", "lines", "status", "count"),
    [
        ("false_alarms", 0, [], PASS, 0),
        ("false_alarms", 0, ["10s alert user"], FAIL, 1),
        ("false_alarms", "<= 1", ["10s alert user"], PASS, 1),
        ("false_alarms", 0, ["10s alert user", "20s operator exited"], FAIL, 1),  # more evidence could only add to it
        ("needless_actions", 0, ["10s action restart user"], FAIL, 1),
        ("wrong_actions", 0, ["40s action restart user"], FAIL, 1),
        ("wrong_actions", 0, ["40s action switch_provider llm"], PASS, 0),
        ("harmful_actions", 0, [], PASS, 0),
    ],
)
def test_run_wide(field: str, limit: Any, lines: list[str], status: Status, count: int) -> None:
    result = judged({field: limit}, *lines)
    assert (result.name, result.status, result.value) == (f"expect.run.{field}", status, count)


@pytest.mark.parametrize(
    ("field", "line", "status"),
    [
        ("false_alarms", "10s alert user", UNKNOWN),
        ("false_alarms", "90s alert user", FAIL),  # after the generator was itself again
        ("needless_actions", "10s action restart user", UNKNOWN),
        ("wrong_actions", "40s action restart user", FAIL),
    ],
)
def test_what_a_starved_machine_suffers_is_blamed_on_nobody(field: str, line: str, status: Status) -> None:
    rows = BROKEN.copy()
    late = rows["intended_ns"] < at_ns(30)
    rows["start_ns"][late] += 50_000_000
    rows["end_ns"][late] += 50_000_000
    result = judged({field: 0}, line, requests=rows)
    assert (result.status, result.value) == (status, 1)
    if status is UNKNOWN:
        assert "1 of them while the machine was too busy for them to be called so: the generator sent late" in result.reason


def test_silence_is_told_with_its_bound() -> None:
    assert judged({"false_alarms": 0}).reason == "0 false alarms in 45s without a fault, which bounds the rate by 240 an hour at 95%"
