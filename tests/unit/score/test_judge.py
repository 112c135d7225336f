"""All of it together: fixed order, no hidden state, no order of arrival."""

from __future__ import annotations

import json
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.gate import decide
from harness.record import events as ev
from harness.record.events import Event
from harness.record.history import History
from harness.score.check import Status
from harness.score.judge import judge
from harness.score.summary import scores
from tests.history_builder import history, questions, scenario, together, traffic

ASKED = scenario(
    faults=[{"id": "f", "type": "t", "target": "llm", "for": "40s"}],
    objectives={
        "steady_state": {"availability": ">= 99%", "latency_p95": "<= 800ms", "recall_at_5": ">= 90%"},
        "recovery": {"latency_p95": "<= +25% of steady_state", "answered": ">= 95%"},
    },
    expect=[
        {"fault": "f", "alert": "<= 10s", "root_cause": {"service": "llm", "kind": "latency"}, "outcome": "recovered"},
        {"false_alarms": 0, "needless_actions": 0},
    ],
)
ASK = {"question": 3, "canary": 1, "refused": 0, "degraded": 0, "preferred": 1, "journey": ["ask", "ask_stream", "ingest"]}
ROWS = together(traffic(0, 30, **ASK), traffic(30, 38, latency_s=4.0, **ASK), traffic(38, 100, **ASK))  # type: ignore[arg-type]  # journey is one of them
ROWS["sources"][:, 0] = 3
TOLD = history(
    "0s steady_state", "30s fault", "30s fault latency@llm fix=switch_provider blast=generation", "33s alert llm", "33s alert generation",
    "33s diagnosis llm/latency:0.9 generation/latency:0.3", "33s action switch_provider generation for=4", "70s heal", "70s recovery",
    "100s end", requests=ROWS, questions=questions(),
)  # fmt: skip


def document(told: History) -> str:
    results = judge(told, ASKED)
    return json.dumps([decide(results, ASKED).to_json(), scores(told, ASKED)])


def test_order_is_that_of_the_scenario() -> None:
    assert [r.name for r in judge(TOLD, ASKED)] == [
        "validity.record",
        "validity.load",
        "validity.delivered_load.steady_state",
        "validity.delivered_load.fault",
        "validity.delivered_load.recovery",
        "validity.steady_state",
        "validity.operator",
        "validity.fault.f",
        "steady_state.availability",
        "steady_state.latency_p95",
        "steady_state.recall_at_5",
        "recovery.latency_p95",
        "recovery.answered",
        "expect.f.alert",
        "expect.f.root_cause",
        "expect.f.outcome",
        "expect.run.false_alarms",
        "expect.run.needless_actions",
        "safety.f.gone",
        "safety.as_before",
        "safety.nothing_left",
        "safety.stack_stopped",
    ]
    assert decide(judge(TOLD, ASKED), ASKED).status is Status.PASS


def test_scores() -> None:
    assert scores(TOLD, ASKED) == {
        "faults": 1,
        "detection": {
            "n": 1,
            "detected": 1,
            "recall": 1.0,
            "precision": 1.0,
            "mttd_s": 3.0,
            "mttd_s_median": 3.0,
            "mttd_s_max": 3.0,
            "mttd_s_censored": 3.0,
            "duplicates": 1,
            "false_alarms": 0,
            "false_alarms_per_hour": 0.0,
            "false_alarms_per_hour_bound": 239.659,
            "fault_free_s": 45.0,
        },
        "diagnosis": {
            "n": 1,
            "ac_1": 1.0,
            "ac_3": 1.0,
            "avg_5": 1.0,
            "chance_ac_1": 0.0,
            "kind_accuracy": 1.0,
            "victims_blamed": 0,
            "abstained": 0,
        },
        "recovery": {
            "outcomes": {"f": "recovered"},
            "relapsed": [],
            "mttr_s": 8.0,
            "recovered_share": 1.0,
            "mttr_s_censored": 8.0,
            "actions": 1,
            "right_actions": 1,
            "wrong_actions": 0,
            "needless_actions": 0,
            "harmful_actions": 0,
            "escalations": 0,
        },
    }


CLAIMS = (ev.ALERT, ev.DIAGNOSIS, ev.ACTION, ev.ESCALATION, ev.INSTANCE, ev.OPERATOR)


def shuffled(events: tuple[Event, ...], random: Random) -> tuple[Event, ...]:
    """The order of simultaneous claims and telemetry changed; steps of one fault, action or phase keep theirs."""
    keys = [(e.t_ns, random.random() if e.kind in CLAIMS and e.data.get("step") != "performed" else 1.0) for e in events]
    return tuple(e for _, e in sorted(zip(keys, events, strict=True), key=lambda pair: pair[0]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_the_order_of_simultaneous_events_and_of_requests_does_not_matter(seed: int) -> None:
    random = Random(seed)
    order = list(range(len(ROWS)))
    random.shuffle(order)
    again = History(events=shuffled(TOLD.events, random), requests=ROWS[np.array(order)], journeys=TOLD.journeys, questions=TOLD.questions)
    assert document(again) == document(TOLD)


def test_judging_twice_gives_the_same_bytes_and_changes_nothing() -> None:
    before = ROWS.tobytes()
    assert document(TOLD) == document(TOLD)
    assert ROWS.tobytes() == before


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(TOLD.events)), st.integers(0, len(ROWS)))
def test_no_prefix_of_a_record_passes_or_crashes(events: int, rows: int) -> None:
    cut = History(events=TOLD.events[:events], requests=ROWS[:rows], journeys=TOLD.journeys, questions=TOLD.questions)
    results = judge(cut, ASKED)
    assert not [r for r in results if r.name.endswith(".crashed")]
    if events < len(TOLD.events):
        assert decide(results, ASKED).status in (Status.INCONCLUSIVE, Status.FAIL)
