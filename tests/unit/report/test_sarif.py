"""SARIF of findings and verdicts: valid by the schema, placed at the right lines, stable from run to run, within the limits of uploads."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.findings import Finding, Rule
from harness.gate import Verdict
from harness.record.history import History
from harness.report import sarif
from harness.scenario.loader import Loaded, load_text
from harness.score.check import Result, Status
from tests.unit.report import sample

# SARIF 2.1.0 as Microsoft publishes it in @microsoft/jest-sarif (MIT), without blanks.
SCHEMA = Path(__file__).with_name("sarif-2.1.0-rtm.5.json")
RULES = {"a.one": Rule("a.one", "error", "one is wrong", "make it right", "It matters.")}
TEXTS = st.text(max_size=30)
FINDINGS = st.builds(
    Finding,
    rule=st.sampled_from(["a.one", "b.two", "c"]),
    level=st.sampled_from(["error", "warning", "note"]),
    message=TEXTS,
    instead=TEXTS,
    path=st.sampled_from(["a b/c.yaml", "http://127.0.0.1:1/x", "ä.yaml", "c.yaml"]),
    line=st.none() | st.integers(1, 10**6),
    column=st.none() | st.integers(1, 500),
)
TEXT = """name: small
load: {shape: [{constant: 20/s}]}
phases: {warmup: 10s, steady_state: 30s, fault: 60s, recovery: 20s}
faults:
  - {id: slow, type: llm.slow_first_token, target: llm, at: fault, for: 40s, with: {ttft: 4s}}
expect:
  - fault: slow
    alert: "<= 10s"
    outcome: recovered
  - {false_alarms: 0}
objectives:
  steady_state: {availability: ">= 99%"}
  fault:
    availability: ">= 97%"
    latency_p95: "<= 7s"
burn_rates:
  - {id: page, objective: {availability: ">= 99%"}, factor: 2, long: 20s, short: 5s}
"""


@cache
def loaded() -> Loaded:
    return load_text(TEXT, "scenarios/small.yaml")


def checked(raw: bytes) -> dict[str, Any]:
    """The one run of a document that the schema allows."""
    document = json.loads(raw)
    jsonschema.Draft4Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(document)
    (run,) = document["runs"]
    assert all(run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    return dict(run)


def of_verdict(status: Status, *results: Result, run: dict[str, Any] | None = None, complete: bool = True) -> dict[str, Any]:
    history = History(run=run if run is not None else {"scenario_file": "scenarios/small.yaml"})
    verdict = Verdict(status, 1, "because", results)
    return checked(sarif.of_verdict(verdict, history, loaded().scenario, loaded().positions))


def line(result: dict[str, Any]) -> int:
    return int(result["locations"][0]["physicalLocation"]["region"]["startLine"])


@given(st.lists(FINDINGS, max_size=8))
def test_any_findings_are_valid_sarif(findings: list[Finding]) -> None:
    run = checked(sarif.of_findings(findings, RULES, category="audit"))
    assert len(run["results"]) == len(findings)
    prints = [result["partialFingerprints"][sarif.FINGERPRINT] for result in run["results"]]
    assert len(set(prints)) == len(prints)
    assert run["automationDetails"]["id"] == "gauntlet/audit/"


def test_a_finding_is_told_whole() -> None:
    found = Finding("a.one", "error", "db: one is wrong", "make it right", "a b/c.yaml", 3, 5)
    run = checked(sarif.of_findings([found], RULES, category="audit"))
    (result,), (rule,) = run["results"], run["tool"]["driver"]["rules"]
    assert (result["level"], result["message"]["text"]) == ("error", "db: one is wrong. make it right")
    place = {"artifactLocation": {"uri": "a%20b/c.yaml", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 3, "startColumn": 5}}
    assert result["locations"] == [{"physicalLocation": place}]
    assert rule["help"]["text"] == "It matters. Instead: make it right." and rule["defaultConfiguration"] == {"level": "error"}
    assert "uri" not in run["originalUriBaseIds"]["%SRCROOT%"]  # where it lies is nobody's business but the reader's


def test_fingerprints_outlive_moved_lines_alone() -> None:
    def prints(*findings: Finding) -> list[str]:
        run = checked(sarif.of_findings(findings, RULES, category="a"))
        return [one["partialFingerprints"][sarif.FINGERPRINT] for one in run["results"]]

    one = Finding("a.one", "error", "db: wrong", "", "c.yaml", 3, 5)
    assert prints(one) == prints(replace(one, line=30, column=1))
    assert prints(one) != prints(replace(one, path="d.yaml")) != prints(replace(one, message="cache: wrong"))
    assert prints(one, replace(one, line=9))[0] == prints(one)[0]


def test_what_exceeds_an_upload_is_left_off_and_told() -> None:
    many = [Finding("a.one", "note", f"n{n}", "x" * 5_000, "c.yaml", n + 1) for n in range(sarif.MAX_RESULTS + 7)]
    run = json.loads(sarif.of_findings([*many, replace(many[0], level="error")], RULES, category="a"))["runs"][0]
    assert len(run["results"]) == sarif.MAX_RESULTS and run["results"][0]["level"] == "error"
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"].startswith("8 milder results were left off")
    assert all(len(result["message"]["text"]) <= sarif.MAX_TEXT for result in run["results"])


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        (Result("fault.latency_p95", "objective", Status.FAIL, ""), 15),
        (Result("steady_state.availability", "objective", Status.FAIL, ""), 12),
        (Result("expect.slow.alert", "expect", Status.FAIL, ""), 8),
        (Result("expect.slow.outcome", "expect", Status.FAIL, ""), 9),
        (Result("expect.run.false_alarms", "expect", Status.FAIL, ""), 10),
        (Result("burn_rate.page", "burn_rate", Status.FAIL, ""), 17),
        (Result("validity.fault.slow", "validity", Status.FAIL, ""), 5),
        (Result("safety.slow.gone", "safety", Status.FAIL, ""), 5),
        (Result("containment.slow.ask", "containment", Status.FAIL, ""), 5),
        (Result("validity.delivered_load.fault", "validity", Status.FAIL, ""), 3),
        (Result("no.such", "objective", Status.FAIL, ""), 3),
    ],
    ids=lambda value: value.name if isinstance(value, Result) else "",
)
def test_a_check_stands_where_it_is_asked_for(result: Result, wanted: int) -> None:
    (told,) = of_verdict(Status.FAIL, result)["results"]
    assert (line(told), told["level"], told["ruleId"]) == (wanted, "error", f"verdict.{result.group}")
    assert told["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "scenarios/small.yaml"


def test_statuses_become_levels() -> None:
    results = [Result(f"fault.{n}", "objective", status, f"why {n}") for n, status in enumerate(Status)]
    run = of_verdict(Status.FAIL, *results)
    assert [(one["level"], one["message"]["text"].partition(".")[0]) for one in run["results"]] == [
        ("error", "FAIL: fault"), ("warning", "INCONCLUSIVE: fault"), ("note", "WARN: fault"),
    ]  # fmt: skip
    assert "why 3" in run["results"][0]["message"]["text"]
    assert run["invocations"][0]["exitCodeDescription"] == "FAIL: because"


@pytest.mark.parametrize(
    ("status", "levels"), [(Status.PASS, ["note"]), (Status.WARN, ["note"]), (Status.INCONCLUSIVE, ["warning", "warning"])]
)
def test_nothing_is_worse_than_the_verdict(status: Status, levels: list[str]) -> None:
    """A gate may let an objective fail, and a run may be inconclusive for a reason of its own."""
    results = [Result("fault.latency_p95", "objective", Status.FAIL, "")]
    if status is Status.INCONCLUSIVE:
        results.append(Result("validity.delivered_load.fault", "validity", Status.INCONCLUSIVE, "late"))
    assert [one["level"] for one in of_verdict(status, *results)["results"]] == levels


@pytest.mark.parametrize(("status", "level"), [(Status.FAIL, "error"), (Status.INCONCLUSIVE, "warning")])
def test_a_verdict_that_no_check_explains_is_told_itself(status: Status, level: str) -> None:
    (told,) = of_verdict(status)["results"]
    assert (told["ruleId"], told["level"], line(told)) == ("verdict", level, 1)
    assert "because" in told["message"]["text"]


def test_what_passes_is_no_result() -> None:
    assert of_verdict(Status.PASS, Result("fault.latency_p95", "objective", Status.PASS, ""))["results"] == []


@pytest.mark.parametrize(
    ("run", "wanted"),
    [
        ({"scenario_file": "/somewhere/a.yaml", "git": {"scenario": "scenarios/a.yaml"}}, "scenarios/a.yaml"),
        ({"scenario_file": "/somewhere/a.yaml", "git": {"scenario": None}}, "a.yaml"),
        ({"scenario_file": "../a.yaml"}, "a.yaml"),
        ({"scenario_file": "x/a.yaml"}, "x/a.yaml"),
        ({}, "small.yaml"),
    ],
)
def test_paths_are_the_repositorys(run: dict[str, Any], wanted: str) -> None:
    assert sarif.scenario_path(run, loaded().scenario) == wanted


def test_measured_values_do_not_change_fingerprints() -> None:
    told = [of_verdict(Status.FAIL, Result("fault.latency_p95", "objective", Status.FAIL, f"{value} s"))["results"][0] for value in (8, 9)]
    assert told[0]["partialFingerprints"] == told[1]["partialFingerprints"] and told[0]["message"] != told[1]["message"]


def test_the_sample_run_is_valid() -> None:
    scenario = sample.scenario()
    empty = load_text(TEXT).positions
    for history in (sample.history(), History()):
        checked(sarif.of_verdict(sample.verdict(), history, scenario, empty))
