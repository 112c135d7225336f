"""What is told of alerts, and when: examples, and what holds of any sequence of changes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.ops.alerting.life.desk import Desk, Notification
from harness.ops.alerting.life.history import Past
from harness.ops.alerting.life.policy import DEFAULT_INHIBITIONS, Inhibition, Policy, PolicyError, Silence, matcher
from harness.ops.monitoring.alerts import Alert

POLICY = Policy(group_wait_s=2.0, group_interval_s=10.0, repeat_interval_s=100.0)


def alert(name: str = "Slow", service: str = "llm", *, since: float = 0.0, ended: float | None = None, severity: str = "critical") -> Alert:
    return Alert({"alertname": name, "service": service, "severity": severity}, {}, since, ended)


def told(notifications: list[Notification]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Why, and of each alert its name, service and state."""
    return [
        (n.why, [(a.labels["alertname"], a.labels["service"], "resolved" if a.ends_at_s is not None else "firing") for a in n.alerts])
        for n in notifications
    ]


def play(policy: Policy, changes: dict[float, list[Alert]], until_s: int) -> list[tuple[int, str, list[tuple[str, str, str]]]]:
    """Second by second: what was told, when."""
    desk = Desk(policy)
    return [(t, *one) for t in range(until_s + 1) for one in told(desk.step(t, changes.get(t, ())))]


def test_a_group_is_told_once_its_wait_is_over_and_its_end_after_the_interval() -> None:
    said = play(POLICY, {0: [alert()], 5: [alert(ended=5.0)]}, 40)
    assert said == [(2, "group", [("Slow", "llm", "firing")]), (12, "group", [("Slow", "llm", "resolved")])]


def test_what_ends_before_it_is_told_is_not_told() -> None:
    desk = Desk(POLICY)
    assert desk.step(0, [alert()]) == [] and desk.step(1, [alert(ended=1.0)]) == [] and desk.step(2) == []
    assert desk.history.since(0) == (Past("Slow", "llm", "critical", 0.0, 1, told=False),)
    assert desk.states() == {}


def test_what_does_not_change_is_repeated() -> None:
    assert [(t, why) for t, why, _ in play(POLICY, {0: [alert()]}, 210)] == [(2, "group"), (102, "repeat"), (202, "repeat")]


def test_alerts_of_one_group_come_together() -> None:
    policy = replace(POLICY, group_by=("service",))
    said = play(policy, {0: [alert()], 1: [alert("Errors")], 3: [alert("Down"), alert("Down", "cache")]}, 12)
    assert said == [
        (2, "group", [("Slow", "llm", "firing"), ("Errors", "llm", "firing")]),
        (5, "group", [("Down", "cache", "firing")]),
        (12, "group", [("Slow", "llm", "firing"), ("Errors", "llm", "firing"), ("Down", "llm", "firing")]),
    ]


def test_of_a_silenced_alert_nothing_is_said_until_the_silence_ends() -> None:
    silence = Silence((matcher('service="llm"'),), ends_s=20.0)
    desk = Desk(replace(POLICY, silences=(silence,)))
    assert desk.step(0, [alert()]) == []
    assert (desk.states(), desk.suppressed_by(alert().fingerprint)) == ({alert().fingerprint: "suppressed"}, "silence")
    assert [t for t in range(1, 40) if desk.step(t)] == [20]


def test_an_inhibited_alert_is_told_when_its_source_has_ended() -> None:
    policy = replace(POLICY, inhibitions=DEFAULT_INHIBITIONS)
    down, failing = alert("InstanceDown"), alert("CallsFailing")
    said = play(policy, {0: [down, failing, alert("CallsFailing", "cache")], 9: [replace(down, ends_at_s=9.0)]}, 20)
    firing = [(t, name) for t, _, alerts in said for name in alerts if name[2] == "firing"]
    assert firing == [
        (2, ("InstanceDown", "llm", "firing")),
        (2, ("CallsFailing", "cache", "firing")),
        (9, ("CallsFailing", "llm", "firing")),
    ]


def test_nothing_inhibits_itself() -> None:
    rule = Inhibition((matcher("service=llm"),), (matcher('alertname=~".*"'),))
    assert not rule.holds({"alertname": "A", "service": "llm"}, [{"alertname": "A", "service": "llm"}])
    assert rule.holds({"alertname": "A", "service": "cache"}, [{"alertname": "A", "service": "llm"}])


def test_an_alert_that_comes_and_goes_is_told_once_in_its_cooldown() -> None:
    policy = replace(POLICY, cooldown_s=60.0, group_wait_s=0.0, group_interval_s=1.0)
    changes = {float(t): [alert(since=t) if t % 4 == 0 else alert(since=t - 2, ended=t)] for t in range(0, 42, 2)}
    said = play(policy, changes | {42.0: [alert(since=42)]}, 200)
    assert [(t, alerts[0][2]) for t, _, alerts in said if _ == "group"] == [(0, "firing"), (2, "resolved"), (98, "firing")]


def test_what_nobody_acknowledges_is_escalated_once() -> None:
    policy = replace(POLICY, escalate_after_s={"critical": 30.0})
    desk = Desk(policy)
    desk.step(0, [alert(), alert("Warn", severity="warning"), alert("Seen")])
    assert desk.acknowledge(alert("Seen").fingerprint, 3) and not desk.acknowledge("nobody", 3)
    said = [(t, n.why, n.alerts[0].labels["alertname"]) for t in range(1, 90) for n in desk.step(t)]
    assert [one for one in said if one[1] == "escalation"] == [(32, "escalation", "Slow")]
    desk.step(95, [replace(alert("Seen"), ends_at_s=95.0), replace(alert(), ends_at_s=95.0)])
    seen, slow = desk.history.resolution()["Seen"], desk.history.resolution()["Slow"]
    assert (seen.acknowledged, seen.acknowledge_s_mean, seen.escalated, seen.resolve_s_median) == (1, 3.0, 0, 95.0)
    assert (slow.acknowledged, slow.acknowledge_s_mean, slow.escalated) == (0, None, 1)
    assert desk.history.by_hour(wall_offset_s=3600.0) == {3600: 2}


@pytest.mark.parametrize("text", ["service", 'service="llm', "=x", 'a=~"("'])
def test_what_is_no_matcher(text: str) -> None:
    with pytest.raises(PolicyError):
        matcher(text)


NAMES = st.tuples(st.sampled_from(["InstanceDown", "CallsFailing", "Slow"]), st.sampled_from(["llm", "cache"]))
TURNS = st.lists(st.frozensets(NAMES, max_size=6), min_size=1, max_size=40)
POLICIES = st.builds(
    Policy,
    group_by=st.sampled_from([(), ("service",), ("alertname", "service")]),
    group_wait_s=st.sampled_from([0.0, 3.0]),
    group_interval_s=st.sampled_from([1.0, 4.0, 10.0]),
    repeat_interval_s=st.sampled_from([5.0, 1000.0]),
    cooldown_s=st.sampled_from([0.0, 6.0]),
    escalate_after_s=st.sampled_from([{}, {"critical": 5.0}]),
    silences=st.sampled_from([(), (Silence((matcher("service=cache"),), 5.0, 15.0),)]),
    inhibitions=st.sampled_from([(), DEFAULT_INHIBITIONS]),
)


def changes_of(turns: list[frozenset[tuple[str, str]]], step_s: float, start_s: float) -> list[tuple[float, list[Alert]]]:
    """What begins and what ends in each turn; all has ended in the last one."""
    since: dict[tuple[str, str], float] = {}
    found = []
    for n, now in enumerate([*turns, frozenset()]):
        t_s = start_s + n * step_s
        changed = [alert(*one, since=since.pop(one), ended=t_s) for one in sorted(since.keys() - now)]
        for one in sorted(now - since.keys()):
            since[one] = t_s
            changed.append(alert(*one, since=t_s))
        found.append((t_s, changed))
    return found


def run(
    policy: Policy, turns: list[frozenset[tuple[str, str]]], step_s: float = 1.0, start_s: float = 0.0
) -> tuple[Desk, list[tuple[float, Notification]]]:
    desk = Desk(policy)
    said = [(t_s, n) for t_s, changed in changes_of(turns, step_s, start_s) for n in desk.step(t_s, changed)]
    end_s = start_s + len(turns) * step_s
    for n in range(1, 30):
        said += [(end_s + n * step_s, one) for one in desk.step(end_s + n * step_s)]
    return desk, said


@settings(max_examples=150, deadline=None)
@given(policy=POLICIES, turns=TURNS)
def test_any_sequence(policy: Policy, turns: list[frozenset[tuple[str, str]]]) -> None:
    """Every end that is told follows a word of its beginning; no group speaks oftener than its interval; in the end nothing is left."""
    desk, said = run(policy, turns)
    spoken: dict[object, list[float]] = defaultdict(list)
    states: dict[str, list[str]] = defaultdict(list)
    for t_s, notification in said:
        if notification.why != "escalation":
            spoken[notification.group].append(t_s)
            for one in notification.alerts:
                states[one.fingerprint].append("resolved" if one.ends_at_s is not None else "firing")
    for times in spoken.values():
        assert all(b - a >= policy.group_interval_s for a, b in pairwise(times))
    for told_states in states.values():
        assert told_states[0] == "firing" and told_states[-1] == "resolved"
        assert all((a, b) != ("resolved", "resolved") for a, b in pairwise(told_states))
    assert desk.states() == {}
    ended = sum(len([a for a in changed if a.ends_at_s is not None]) for _, changed in changes_of(turns, 1.0, 0.0))
    assert len(desk.history.since(0)) == ended


@settings(max_examples=80, deadline=None)
@given(policy=POLICIES, turns=TURNS)
def test_what_lasts_is_told_unless_it_is_suppressed(policy: Policy, turns: list[frozenset[tuple[str, str]]]) -> None:
    """An alert that fires unsuppressed for as long as a group may wait has been told."""
    desk = Desk(policy)
    open_since: dict[str, float] = {}
    firing_told: set[str] = set()
    longest_s = policy.group_wait_s + policy.group_interval_s
    for t_s, changed in changes_of([*turns, *[turns[-1]] * 20], 1.0, 0.0):
        for notification in desk.step(t_s, changed):
            firing_told |= {a.fingerprint for a in notification.alerts if a.ends_at_s is None}
            firing_told -= {a.fingerprint for a in notification.alerts if a.ends_at_s is not None}
        now = {f for f, state in desk.states().items() if state == "firing"}
        open_since = {f: open_since.get(f, t_s) for f in now}
        assert all(f in firing_told for f, since_s in open_since.items() if t_s - since_s > longest_s)


@settings(max_examples=80, deadline=None)
@given(policy=POLICIES, turns=TURNS, shift_s=st.sampled_from([0.0, 1e4]), scale=st.sampled_from([1.0, 4.0]))
def test_time_may_be_shifted_and_compressed(policy: Policy, turns: list[frozenset[tuple[str, str]]], shift_s: float, scale: float) -> None:
    plain = replace(policy, silences=())
    _, said = run(plain, turns)
    _, other = run(replace(plain, time_scale=scale), turns, 1 / scale, shift_s)
    assert told([n for _, n in other]) == told([n for _, n in said])
    assert [round((t_s - shift_s) * scale) for t_s, _ in other] == [t_s for t_s, _ in said]
