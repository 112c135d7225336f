"""Operators with known scores get exactly these scores."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness.gate import decide
from harness.inbox.bodies import ActionBody, DiagnosisBody, EscalationBody, Webhook
from harness.record import events as ev
from harness.record.events import Event
from harness.record.history import History
from harness.scenario.model import Scenario
from harness.score.check import Status
from harness.score.detection import detect
from harness.score.diagnosis import diagnose
from harness.score.judge import judge
from harness.score.summary import scores
from mocks.operators import known
from mocks.operators.known import KnownFault
from mocks.operators.script import Step
from tests.history_builder import at_ns, history, scenario, together, traffic

SERVICES = ("gateway", "user", "query", "document", "retrieval", "embedding", "generation", "llm", "postgres", "cache")
LONG_S = 200.0
FAULTS = (
    KnownFault("llm", "latency", 30.0, 70.0, "switch_provider"),
    KnownFault("cache", "crash", 120.0, 160.0, "restart"),
)


def claims(steps: tuple[Step, ...]) -> list[Event]:
    """The events that the inbox records of these bodies."""
    events: list[Event] = []
    for number, step in enumerate(steps):
        t_ns, told = at_ns(step.at_s), step.body
        match step.claim:
            case "alert":
                events += [Event(t_ns, ev.ALERT, "claim", a.to_event()) for a in Webhook.model_validate(told).alerts]
            case "diagnosis":
                body = DiagnosisBody.model_validate(told).model_dump()
                events.append(Event(t_ns, ev.DIAGNOSIS, "claim", {"diagnosis_id": f"d-{number}", **body}))
            case "escalation":
                events.append(Event(t_ns, ev.ESCALATION, "claim", EscalationBody.model_validate(told).model_dump()))
            case "action":
                action = {"action_id": f"a-{number}", "step": "requested", **ActionBody.model_validate(told).model_dump()}
                events.append(Event(t_ns, ev.ACTION, "claim", action))
                events.append(Event(t_ns, ev.ACTION, "truth", {"action_id": f"a-{number}", "step": "performed"}))
    return events


def run(steps: tuple[Step, ...]) -> History:
    """A run of 200 s with both faults; users are slow from onset until the right action, else until the heal."""
    lines = [f"{f.onset_s}s fault {f.kind}@{f.service} id={f.service} fix={f.verb} blast=query,gateway" for f in FAULTS]
    lines += [f"{f.healed_s}s heal {f.service}" for f in FAULTS]
    parts, at_s = [], 0.0
    for fault in FAULTS:
        right = [s.at_s for s in steps if s.claim == "action" and (s.body["verb"], s.body["service"]) == (fault.verb, fault.service)]
        healthy_s = min([fault.healed_s, *(t for t in right if fault.onset_s <= t < fault.healed_s)])
        parts += [traffic(at_s, fault.onset_s, latency_s=0.1), traffic(fault.onset_s, healthy_s, latency_s=4.0)]
        at_s = healthy_s
    told = history(
        "0s steady_state", "30s fault", *lines, "160s recovery", f"{LONG_S}s end", requests=together(*parts, traffic(at_s, LONG_S))
    )  # fmt: skip
    events = tuple(sorted((*told.events, *claims(steps)), key=lambda e: e.t_ns))
    return History(events=events, requests=told.requests, journeys=told.journeys)


def asked() -> Scenario:
    uses = [{"id": f.service, "type": "t", "target": f.service, "at": f"fault+{f.onset_s - 30:g}s", "for": "40s"} for f in FAULTS]
    expected: list[dict[str, Any]] = [
        {
            "fault": f.service,
            "alert": "<= 10s",
            "root_cause": {"service": f.service, "kind": f.kind},
            "outcome": "recovered",
            "within": "<= 25s",
        }
        for f in FAULTS
    ]
    return scenario(
        phases={"steady_state": "30s", "fault": "130s", "recovery": "40s"},
        faults=uses,
        expect=[*expected, {"false_alarms": 0, "needless_actions": 0, "wrong_actions": 0}],
        objectives={"steady_state": {"availability": ">= 99.5%", "latency_p95": "<= 800ms"}},
    )


def scored(steps: tuple[Step, ...]) -> tuple[dict[str, Any], Status]:
    told = run(steps)
    return scores(told, asked()), decide(judge(told, asked()), asked()).status


def pick(found: dict[str, Any], **groups: str) -> dict[str, Any]:
    return {name: found[group][name] for group, names in groups.items() for name in names.split()}


def test_perfect() -> None:
    found, verdict = scored(known.perfect(FAULTS))
    assert verdict is Status.PASS
    assert found["detection"] | {"fault_free_s": None, "false_alarms_per_hour_bound": None} == {
        "n": 2,
        "detected": 2,
        "recall": 1.0,
        "precision": 1.0,
        "mttd_s": 1.0,
        "mttd_s_median": 1.0,
        "mttd_s_max": 1.0,
        "mttd_s_censored": 1.0,
        "duplicates": 0,
        "false_alarms": 0,
        "false_alarms_per_hour": 0.0,
        "false_alarms_per_hour_bound": None,
        "fault_free_s": None,
    }
    assert pick(found, diagnosis="ac_1 ac_3 avg_5 kind_accuracy") == {"ac_1": 1.0, "ac_3": 1.0, "avg_5": 1.0, "kind_accuracy": 1.0}
    assert found["recovery"] == {
        "outcomes": {"llm": "recovered", "cache": "recovered"},
        "relapsed": [],
        "mttr_s": 2.0,
        "recovered_share": 1.0,
        "mttr_s_censored": 2.0,
        "actions": 2,
        "right_actions": 2,
        "wrong_actions": 0,
        "needless_actions": 0,
        "harmful_actions": 0,
        "escalations": 0,
    }


def test_silent() -> None:
    found, verdict = scored(known.silent(FAULTS))
    assert verdict is Status.FAIL
    assert pick(found, detection="recall precision mttd_s mttd_s_censored false_alarms", diagnosis="ac_1 abstained") == {
        "recall": 0.0,
        "precision": None,
        "mttd_s": None,
        "mttd_s_censored": 55.0,  # both count as their windows: 40 s of fault and 15 s of grace
        "false_alarms": 0,
        "ac_1": 0.0,
        "abstained": 2,
    }
    assert pick(found, recovery="outcomes mttr_s recovered_share mttr_s_censored") == {
        "outcomes": {"llm": "healed_by_harness", "cache": "healed_by_harness"},
        "mttr_s": None,
        "recovered_share": 0.0,
        "mttr_s_censored": 40.0,
    }


def test_noisy() -> None:
    found, verdict = scored(known.noisy(FAULTS, "user", [5.0, 35.0, 95.0, 130.0, 180.0, 197.0]))
    assert verdict is Status.FAIL
    assert pick(found, detection="recall precision false_alarms mttd_s") == {
        "recall": 1.0,
        "precision": 0.25,
        "false_alarms": 6,
        "mttd_s": 1.0,
    }


def test_late() -> None:
    found, verdict = scored(known.late(FAULTS, 20.0))
    assert verdict is Status.FAIL
    assert pick(found, detection="recall precision mttd_s", recovery="mttr_s right_actions") == {
        "recall": 1.0,
        "precision": 1.0,
        "mttd_s": 21.0,
        "mttr_s": 22.0,
        "right_actions": 2,
    }


def test_too_late() -> None:
    """After the heal and its grace an alert is a false alarm, and an action is needless."""
    found, verdict = scored(known.late(FAULTS[:1], 60.0))
    assert verdict is Status.FAIL
    assert pick(found, detection="recall false_alarms", recovery="right_actions needless_actions") == {
        "recall": 0.0,
        "false_alarms": 1,
        "right_actions": 0,
        "needless_actions": 1,
    }


def test_wrong_action() -> None:
    found, verdict = scored(known.wrong_action(FAULTS, "restart", "user"))
    assert verdict is Status.FAIL
    assert pick(found, detection="recall", diagnosis="ac_1", recovery="outcomes wrong_actions right_actions needless_actions") == {
        "recall": 1.0,
        "ac_1": 1.0,
        "outcomes": {"llm": "healed_by_harness", "cache": "healed_by_harness"},
        "wrong_actions": 2,
        "right_actions": 0,
        "needless_actions": 0,
    }


def test_perfect_escalates_what_nothing_heals() -> None:
    steps = known.perfect([KnownFault("postgres", "network", 30.0, 70.0)])
    told = history("0s steady_state", "30s fault network@retrieval->postgres", "70s heal", "100s end")
    told = History(events=tuple(sorted((*told.events, *claims(steps)), key=lambda e: e.t_ns)))
    assert (len(told.escalations), len(told.actions), detect(told).recall) == (1, 0, 1.0)


@pytest.mark.parametrize("services", [2, 10])
def test_random_is_at_chance_level(services: int) -> None:
    """400 guesses; the bounds are those of a binomial at chance level, 99.9 %."""
    guessed_among, count = SERVICES[:services], 400
    faults = [KnownFault(guessed_among[i % services], "crash", 100.0 * i + 10, 100.0 * i + 50) for i in range(count)]
    lines = [f"{f.onset_s}s fault crash@{f.service} id=f{i}" for i, f in enumerate(faults)]
    lines += [f"{f.healed_s}s heal f{i}" for i, f in enumerate(faults)]
    told = history("0s steady_state", *lines, f"{count * 100}s end")
    events = (*told.events, *claims(known.random(faults, guessed_among, Random(7))))
    told = History(events=tuple(sorted(events, key=lambda e: e.t_ns)))
    found = [d for f in told.faults if (d := diagnose(told, f)) is not None]
    for k, measured in ((1, np.mean([d.ac_1 for d in found])), (3, np.mean([d.ac_3 for d in found]))):
        chance = min(k, services) / services
        low, high = scipy_stats.binom.interval(0.999, count, chance)
        assert low / count <= measured <= high / count
