"""OpenSLO v1: what is written reads back to the same, and what has no form on the other side is told."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.scenario.model import Scenario
from harness.scenario.openslo.reading import Imported, MappingError, mapping, read
from harness.scenario.openslo.writing import write
from harness.scenario.problem import ScenarioError
from tests.history_builder import scenario

BURN = {"objective": {"availability": ">= 99%"}, "factor": 14.4}


def again(of: Scenario) -> Imported:
    return read(yaml.safe_dump_all(write(of).documents), "slo.yaml")


def limits(of: Scenario) -> dict[str, Any]:
    return {phase: {name: one.pass_.text for name, one in asked.items()} for phase, asked in of.objectives.items()}


def test_objectives_come_back_as_they_were() -> None:
    of = scenario(
        objectives={
            "steady_state": {"availability": ">= 99.5%", "latency_p95": "<= 0.8s", "recall_at_5": ">= 90%", "degraded": "<= 5%"},
            "fault": {"availability": ">= 97%", "ttft_p99.9 of route ask_stream": "< 2.5s", "availability of service document": ">= 95%"},
        }
    )
    found = again(of)
    assert (found.objectives, found.notes) == (limits(of), [])


@given(
    st.dictionaries(
        st.sampled_from(["availability", "answered", "mrr", "availability of route ask"]),
        st.decimals(min_value=1, max_value=99, places=3).map(lambda d: f">= {d.normalize():f}%"),
        min_size=1,
    ),
    st.decimals(min_value=1, max_value=99, places=2).map(lambda d: f"{d.normalize():f}"),
    st.decimals(min_value="0.001", max_value=60, places=3).map(lambda d: f"<= {d.normalize():f}s"),
)
def test_any_of_them_does(shares: dict[str, str], percentile: str, duration: str) -> None:
    of = scenario(objectives={"fault": {**shares, f"latency_p{percentile}": duration}})
    assert again(of).objectives == limits(of)


def test_burn_rates_come_back_as_they_were() -> None:
    rules = [
        {"id": "page", **BURN, "long": "3600s", "short": "300s", "min_events": 5, "fires": "slow", "within": "<= 20s"},
        {"id": "ticket", **BURN, "long": "21600s", "short": "1800s", "factor": 6.0, "min_events": 1, "phases": ["steady_state"]},
        {"id": "slow", "objective": {"latency_p95": "<= 2s"}, "long": "3600s", "short": "300s", "factor": 6.0, "min_events": 5},
    ]
    of = scenario(objectives={"fault": {"availability": ">= 99%"}}, burn_rates=rules)
    found = again(of)
    assert (found.objectives, found.burn_rates) == (limits(of), rules)
    assert write(of).notes[0] == "burn_rate.page: a policy has one condition there; its short window of 300s is an annotation"


def test_what_has_no_form_there_is_told() -> None:
    of = scenario(
        objectives={
            "recovery": {
                "availability": {"pass": ">= 99%", "warn": ">= 95%"},
                "availability over 10s": ">= 95%",
                "latency_p95": "<= +25% of steady_state",
                "latency_p99": "<= 1s and <= +10%",
                "answered": ">= 100%",
                "goodput": ">= 20/s",
                "mrr": "> 90%",
            }
        },
        burn_rates=[{"id": "r", **BURN, "long": "90s"}],
    )
    written = write(of)
    assert [document["metadata"]["name"] for document in written.documents] == ["written-by-hand-recovery-availability"]
    assert written.notes == [
        "recovery.availability: its warn >= 95% has no form there; only pass is written",
        "recovery.availability over 10s >= 95%: every window that slides over a phase has no form there",
        "recovery.latency_p95 <= +25% of steady_state: a relative limit has no form there",
        "recovery.latency_p99 <= 1s and <= +10%: several limits of one objective have no form there",
        "recovery.answered >= 100%: a target is less than 1 there: without a budget nothing can burn",
        "recovery.goodput >= 20/s: a number or a rate is no share of good requests",
        "recovery.mrr > 90%: a target may always be met exactly",
        "burn_rate.r: a window of less than a minute, or part of one, has no form there",
    ]


# Documents of others.

RATIO = "{counter: true, good: {metricSource: {type: Prometheus, spec: {query: a}}}, total: {metricSource: {type: Prometheus, spec: {}}}}"
THRESHOLD = "{metricSource: {metricSourceRef: redshift, spec: {query: b}}}"


def slo(objective: str, metric: str = f"ratioMetric: {RATIO}", more: str = "", name: str = "checkout", method: str = "Occurrences") -> str:
    return f"""\
apiVersion: openslo/v1
kind: SLO
metadata: {{name: {name}}}
spec:
  service: shop
  indicator: {{metadata: {{name: i}}, spec: {{{metric}}}}}
  timeWindow: [{{duration: 4w, isRolling: true}}]
  budgetingMethod: {method}
  objectives: [{objective}]
{more}"""


def policy(condition: str) -> str:
    inline = f"{{kind: AlertCondition, metadata: {{name: Fast Burn}}, spec: {{severity: page, condition: {condition}}}}}"
    return f"  alertPolicies: [{{kind: AlertPolicy, metadata: {{name: p}}, spec: {{alertWhenBreaching: true, conditions: [{inline}]}}}}]\n"


def test_a_ratio_of_requests_is_their_availability() -> None:
    assert read(slo("{target: 0.995}"), "f").objectives == {"steady_state": {"availability": ">= 99.5%"}}
    assert read(slo("{targetPercent: 99.95}"), "f", phase="fault").objectives == {"fault": {"availability": ">= 99.95%"}}
    assert read(slo("{target: 0.9}"), "f", mapped=mapping(["checkout=answered"])).objectives == {"steady_state": {"answered": ">= 90%"}}


def test_a_threshold_must_be_mapped() -> None:
    text = slo("{op: lte, value: 800, target: 0.95}", f"thresholdMetric: {THRESHOLD}")
    assert read(text, "f").notes == ["checkout: left out: nothing says what its values are; add --map checkout=latency:ms"]
    assert read(text, "f", mapped=mapping(["checkout=latency:ms"])).objectives == {"steady_state": {"latency_p95": "<= 0.8s"}}
    assert read(text, "f", mapped=mapping(["checkout=ttft"])).objectives == {"steady_state": {"ttft_p95": "<= 800s"}}


def test_an_indicator_by_name() -> None:
    text = slo("{target: 0.99}").replace("  indicator: {metadata: {name: i}, spec: {ratioMetric: " + RATIO + "}}", "  indicatorRef: good")
    sli = f"apiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: good}}\nspec: {{ratioMetric: {RATIO}}}\n"
    service = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: shop}\nspec: {}\n"
    assert read(f"# objectives\n---\n{text}---\n{sli}---\n{service}", "f").objectives == {"steady_state": {"availability": ">= 99%"}}
    assert read(text, "f").notes == ["checkout: left out: there is no SLI 'good' in the file"]


@pytest.mark.parametrize(
    ("objective", "method", "note"),
    [
        ("{target: 0.99, timeSliceTarget: 0.9, timeSliceWindow: 1m}", "Timeslices", "its budget is one of time (Timeslices)"),
        ("{target: 0.99, indicatorRef: other}", "Occurrences", "it is composed of others"),
        ("{displayName: x}", "Occurrences", "it has no target"),
        ("{op: gte, value: 3, target: 0.9}", "Occurrences", "its values are good when they are large (gte)"),
    ],
)
def test_what_cannot_be_judged_is_told(objective: str, method: str, note: str) -> None:
    found = read(slo(objective, method=method), "f")
    assert found.objectives == {}
    assert found.notes[0].startswith(f"checkout: left out: {note}")


def test_of_two_limits_on_one_thing_the_first_stays() -> None:
    found = read(f"{slo('{target: 0.99}')}---\n{slo('{target: 0.9}', name='other')}", "f")
    assert found.objectives == {"steady_state": {"availability": ">= 99%"}}
    assert found.notes == ["other: left out: availability has the limit >= 99% already"]


def test_a_burn_rate_of_others() -> None:
    found = read(slo("{target: 0.99}", more=policy("{kind: burnrate, op: gte, threshold: 2, lookbackWindow: 1d, alertAfter: 5m}")), "f")
    assert found.burn_rates == [{"id": "fast-burn", "objective": {"availability": ">= 99%"}, "long": "86400s", "factor": 2.0}]
    assert found.notes == ["checkout: alertAfter 5m of Fast Burn is dropped: here a short window does its work"]


@pytest.mark.parametrize(
    ("condition", "note"),
    [
        ("{kind: burnrate, op: lte, threshold: 2, lookbackWindow: 1h}", "Fast Burn fires on burnrate lte"),
        ("{kind: burnrate, op: gt, threshold: 2, lookbackWindow: 1M}", "Fast Burn: '1M' is no number of minutes, hours, days or weeks"),
        ("{kind: burnrate, op: gt, lookbackWindow: 1h}", "spec.condition.threshold: Field required"),
    ],
)
def test_a_condition_that_is_none_here(condition: str, note: str) -> None:
    found = read(slo("{target: 0.99}", more=policy(condition)), "f")
    assert found.burn_rates == []
    assert found.notes[0].startswith(f"checkout: alert policy left out: {note}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "f:1:1: there is no OpenSLO document in it; write `apiVersion: openslo/v1` and `kind: SLO`"),
        ("apiVersion: openslo/v1alpha\nkind: SLO\n", "f:1:13: apiVersion is 'openslo/v1alpha'; write `apiVersion: openslo/v1`"),
        ("apiVersion: openslo/v1\nkind: SLOO\n", "f:2:7: no kind 'SLOO'; did you mean 'SLO'?"),
        (slo("{target: 0.99}") + "---\n" + slo("{target: 1.5}"), "f:19:25: target: 1.5 is out of range; write less than 1"),
        (slo("{target: 0.99}").replace("Occurrences", "Occurences"), "f:8:20: 'Occurences' is not known here; did you mean 'Occurrences'?"),
    ],
)
def test_a_file_that_is_none(text: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(text, "f")
    assert str(caught.value) == problem


@pytest.mark.parametrize("text", ["checkout", "checkout=", "checkout=speed", "checkout=latency:h", "=latency"])
def test_a_mapping_that_is_none(text: str) -> None:
    with pytest.raises(MappingError, match=r"did you mean|write NAME=availability"):
        mapping([text])
