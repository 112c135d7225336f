"""The scorers of detection, diagnosis and recovery: neither the date nor the order of lines matters, and excess is no merit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.record import events as ev
from harness.record.events import Event
from harness.record.history import History
from harness.score.detection import detect
from harness.score.diagnosis import chance, diagnose
from harness.score.recovery import judge_actions
from tests.history_builder import at_ns, history

SERVICES = ("gateway", "query", "retrieval", "llm", "cache", "postgres")
KINDS = ("latency", "crash", "errors", "network")
VERBS = ("restart", "switch_provider", "clear_cache")
END_S = 240
_TIMES = st.integers(0, 10 * END_S - 1).map(lambda tenths: tenths / 10)
_SERVICE = st.sampled_from(SERVICES)

_FAULT = st.tuples(_SERVICE, st.sampled_from(KINDS), st.integers(5, 40), st.sampled_from([(), ("restart",), ("switch_provider",)]))
_CAUSES = st.lists(st.tuples(_SERVICE, st.sampled_from(KINDS), st.sampled_from([0.0, 0.5, 0.5, 0.9])), max_size=3)
_CLAIM = st.one_of(
    st.tuples(st.just("alert"), _TIMES, _SERVICE, st.sampled_from(["A", "B"]), st.booleans()),
    st.tuples(st.just("diagnosis"), _TIMES, _CAUSES),
    st.tuples(st.just("action"), _TIMES, _SERVICE, st.sampled_from(VERBS)),
    st.tuples(st.just("escalation"), _TIMES, _SERVICE),
)
_RUNS = st.tuples(st.lists(_FAULT, min_size=1, max_size=3), st.lists(_CLAIM, max_size=12))


def truth(faults: Sequence[Any]) -> History:
    """One fault after another, a minute and more apart; the gateway is in each one's blast radius."""
    lines = ["0s steady_state"]
    for n, (service, kind, length_s, fix) in enumerate(faults):
        onset_s = 20 + 75 * n
        verbs = f" fix={','.join(fix)}" if fix else ""
        lines += [f"{onset_s}s fault {kind}@{service} id=f{n} blast=gateway{verbs}", f"{onset_s + length_s}s heal f{n}"]
    return history(*lines, f"{END_S}s end")


def spoken(claims: Iterable[Any]) -> list[list[Event]]:
    """Events of each claim; those of one action belong together, in their order."""
    groups = []
    for n, (what, t_s, *rest) in enumerate(claims):
        t_ns = at_ns(t_s)
        match what:
            case "alert":
                service, name, firing = rest
                labels = {"alertname": name, "service": service}
                status = "firing" if firing else "resolved"
                data: dict[str, Any] = {"status": status, "labels": labels, "annotations": {}, "fingerprint": f"{name}:{service}"}
                groups.append([Event(t_ns, ev.ALERT, "claim", data)])
            case "diagnosis":
                causes = [{"service": s, "kind": k, "confidence": c} for s, k, c in rest[0]]
                groups.append([Event(t_ns, ev.DIAGNOSIS, "claim", {"diagnosis_id": f"d{n}", "causes": causes})])
            case "action":
                asked = {"action_id": f"a{n}", "step": "requested", "verb": rest[1], "service": rest[0]}
                done = {"action_id": f"a{n}", "step": "performed"}
                groups.append([Event(t_ns, ev.ACTION, "claim", asked), Event(t_ns, ev.ACTION, "truth", done)])
            case _:
                groups.append([Event(t_ns, ev.ESCALATION, "claim", {"service": rest[0], "reason": ""})])
    return groups


def told(faults: Sequence[Any], groups: Iterable[Sequence[Event]]) -> History:
    known = truth(faults)
    return replace(known, events=(*known.events, *(event for group in groups for event in group)))


def measured(found: History) -> Any:
    """Every score of detection, diagnosis and recovery, without dates."""
    detection, actions = detect(found), judge_actions(found)
    return (
        sorted((d.fault_id, d.delay_s, d.window_s, d.duplicates) for d in detection.detections),
        sorted((e.name, e.service or "") for e in detection.false_alarms),
        (detection.episodes, detection.precision, detection.recall, round(detection.fault_free_s, 6)),
        [replace(d, causes=()) for f in found.faults if (d := diagnose(found, f)) is not None],
        [sorted(a.action_id for a in group) for group in (actions.right, actions.wrong, actions.needless, actions.harmful)],
    )


def later(event: Event, by_ns: int) -> Event:
    data = {key: value + by_ns if key.endswith("_ns") and isinstance(value, int) else value for key, value in event.data.items()}
    return Event(event.t_ns + by_ns, event.kind, event.source, data)


@settings(max_examples=60, deadline=None)
@given(_RUNS, st.integers(-900 * 10**9, 10**15))
def test_when_a_run_took_place_changes_no_score(run: Any, by_ns: int) -> None:
    found = told(run[0], spoken(run[1]))
    moved = replace(found, events=tuple(later(e, by_ns) for e in found.events))
    assert measured(moved) == measured(found)


@settings(max_examples=60, deadline=None)
@given(_RUNS, st.randoms(use_true_random=False))
def test_the_order_of_the_claims_in_the_record_changes_no_score(run: Any, random: Random) -> None:
    groups = spoken(run[1])
    shuffled = random.sample(groups, len(groups))
    assert measured(told(run[0], shuffled)) == measured(told(run[0], groups))


@settings(max_examples=40, deadline=None)
@given(_RUNS, st.integers(2, 10))
def test_alerting_all_the_time_costs_precision(run: Any, every_s: int) -> None:
    """A new alert on every service every few seconds finds all faults, and is wrong wherever there is none."""
    faults, claims = run
    noise = [("alert", t_s, service, f"N{t_s}", True) for t_s in range(0, END_S, every_s) for service in SERVICES]
    honest, noisy = (detect(told(faults, spoken(c))) for c in (claims, [*claims, *noise]))
    assert noisy.recall == 1.0
    assert len(noisy.false_alarms) >= len(honest.false_alarms) + 20 // every_s * len(SERVICES)  # nothing is broken in the first 20 s
    assert noisy.precision is not None
    assert noisy.precision <= len(faults) / (len(faults) + 20 // every_s * len(SERVICES))


@settings(max_examples=40, deadline=None)
@given(_RUNS)
def test_an_alert_that_never_ends_finds_nothing(run: Any) -> None:
    noise = [("alert", 0.0, service, "Always", True) for service in SERVICES]
    found = detect(told(run[0], spoken(noise)))
    assert (found.recall, found.precision, len(found.false_alarms)) == (0.0, 0.0, len(SERVICES))


@settings(max_examples=40, deadline=None)
@given(_RUNS, st.integers(1, 20))
def test_repeating_an_alert_raises_no_precision(run: Any, times: int) -> None:
    """Who knows that something is broken could say so under twenty names."""
    faults, claims = run
    honest = detect(told(faults, spoken(claims)))
    found = [d.episode for d in honest.detections if d.episode is not None]
    again = [("alert", (e.start_ns - at_ns(0)) / 1e9, e.service, f"R{n}", True) for e in found for n in range(times)]
    loud = detect(told(faults, spoken([*claims, *again])))
    assert (loud.precision, loud.recall, len(loud.false_alarms)) == (honest.precision, honest.recall, len(honest.false_alarms))


@settings(max_examples=60, deadline=None)
@given(st.lists(_CAUSES, min_size=1, max_size=6))
def test_whoever_is_blamed_whatever_broke_is_at_chance(revisions: list[Any]) -> None:
    """The same words, whichever of the services is broken: on average no better than a guess, however often they are revised."""
    claims = [("diagnosis", 21.0 + n, causes) for n, causes in enumerate(revisions)]
    found = []
    for service in SERVICES:
        known = told([(service, "latency", 30, ())], spoken(claims))
        score = diagnose(known, known.faults[0])
        assert score is not None
        found.append(score)
    for k in range(5):
        assert sum(d.credits[k] for d in found) / len(SERVICES) <= chance(min(k + 1, 3), len(SERVICES)) + 1e-9
    assert sum(d.kind_right for d in found) <= 1


@settings(max_examples=40, deadline=None)
@given(_RUNS, st.lists(st.tuples(_TIMES, _SERVICE, st.sampled_from(VERBS)), max_size=10))
def test_each_action_counts_once_and_none_makes_up_for_another(run: Any, more: list[Any]) -> None:
    faults, claims = run
    extra = [("action", t_s, service, verb) for t_s, service, verb in more]
    fewer, all_ = (judge_actions(told(faults, spoken(c))) for c in (claims, [*claims, *extra]))
    sides = [(len(a.right), len(a.wrong), len(a.needless)) for a in (fewer, all_)]
    assert sum(sides[1]) == sum(1 for c in [*claims, *extra] if c[0] == "action")
    assert all(after >= before for before, after in zip(*sides, strict=True))


@settings(max_examples=30, deadline=None)
@given(_RUNS, st.integers(5, 15))
def test_acting_all_the_time_is_mostly_wrong(run: Any, every_s: int) -> None:
    """Every verb on every service every few seconds: the right one is among them, and so are all the others."""
    extra = [("action", t_s, service, verb) for t_s in range(0, END_S, every_s) for service in SERVICES for verb in VERBS]
    found = judge_actions(told(run[0], spoken(extra)))
    bad = len(found.wrong) + len(found.needless)
    assert bad >= 20 // every_s * len(SERVICES) * len(VERBS)
    assert bad >= 4 * len(found.right)
