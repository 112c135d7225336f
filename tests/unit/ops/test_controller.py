"""Guardrails: settle, act once, wait, try once more, hand over; and what is never acted upon."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.ops.diagnosis.ranking import Cause
from harness.ops.recovery.approvals import ApprovalFile
from harness.ops.recovery.controller import CONFIDENT, FORGOTTEN_AFTER_S, Controller, Handover
from harness.ops.recovery.guardrails import COOLDOWN_S, MAX_ACTIONS, WINDOW_S
from harness.ops.recovery.strategies import Situation, Step, ladder_for
from harness.ops.stackfile.loading import StackFileError, stack_of_text
from harness.ops.targets import Targets

TARGETS = Targets(kinds={"retrieval": "http", "llm": "llm", "llm_fallback": "llm", "cache": "redis"}, registry=None, static={}, edges=())
DEAD = Cause("retrieval", "crash", 0.95, "gone", ("retrieval-2",))
RESTART = Step("restart", "retrieval", "retrieval-2")


def decide(controller: Controller, t_s: float, *causes: Cause, alerting: bool = True, users: bool = False) -> list[Step | Handover]:
    return controller.decide(t_s, causes, alerting=alerting, users_affected=users)


def test_a_cause_must_lead_for_a_moment_before_anything_is_done() -> None:
    controller = Controller(TARGETS)
    assert decide(controller, 0, DEAD) == []
    assert decide(controller, 1, DEAD) == [RESTART]


@pytest.mark.parametrize(
    ("cause", "at_s"),
    [
        (Cause("retrieval", "crash", 0.95, "refused", ("retrieval-2",), ("InstanceDown",)), 3),  # a deploy has it back by then
        (Cause("retrieval", "hang", 0.95, "timeout", ("retrieval-2",), ("InstanceDown",)), 1),
        (Cause("cache", "crash", 0.95, "refused", ("cache-1",), ("InstanceDown",)), 1),
    ],
)
def test_a_service_that_refuses_may_be_on_its_way_back(cause: Cause, at_s: int) -> None:
    controller = Controller(TARGETS)
    assert [t for t in range(6) if decide(controller, t, cause)] == [at_s]


def test_what_comes_back_is_let_come_back_each_time() -> None:
    controller = Controller(TARGETS)
    refused = Cause("retrieval", "crash", 0.95, "refused", ("retrieval-2",), ("InstanceDown",))
    for begins_s in (0, 15):
        assert [decide(controller, begins_s + t, *([refused] if t < 2 else [])) for t in range(12)] == [[]] * 12
    assert [t for t in range(30, 40) if decide(controller, t, refused)] == [33]


def test_nothing_is_done_without_an_alert_or_without_confidence() -> None:
    controller = Controller(TARGETS)
    assert [decide(controller, t, DEAD, alerting=False) for t in range(5)] == [[]] * 5
    unsure = Cause("retrieval", "crash", 0.5, "perhaps")
    assert [decide(controller, t, unsure) for t in range(5, 10)] == [[]] * 5


def test_two_attempts_with_a_pause_then_a_person_once() -> None:
    controller = Controller(TARGETS)
    done = {t: decided for t in range(60) if (decided := decide(controller, t, DEAD))}
    first, second, third = sorted(done)
    assert (done[first], done[second]) == ([RESTART], [RESTART])
    assert second - first == COOLDOWN_S["restart"] == third - second
    assert isinstance(done[third][0], Handover)


def test_an_incident_that_is_over_is_forgotten() -> None:
    controller = Controller(TARGETS)
    decide(controller, 0, DEAD)
    assert decide(controller, 1, DEAD) == [RESTART]
    later = 1 + FORGOTTEN_AFTER_S + 1
    assert decide(controller, later, DEAD) == []
    assert decide(controller, later + 1, DEAD) == [RESTART]


def test_many_causes_do_not_mean_many_actions() -> None:
    controller = Controller(TARGETS)
    decisions: list[Step | Handover] = []
    for n in range(6):
        cause = Cause("retrieval", "crash", 0.95, "seen", (f"retrieval-{n}",))
        for t_s in (n * 8.0, n * 8.0 + 1):
            decisions += decide(controller, t_s, replace(cause, service="cache" if n > 3 else "retrieval", kind=("crash", "hang")[n % 2]))
    assert len([d for d in decisions if isinstance(d, Step)]) == 4
    assert isinstance(decisions[-1], Handover)


def test_another_instance_need_not_wait_for_the_first() -> None:
    controller = Controller(TARGETS)
    first, second = (Cause("retrieval", kind, 0.95, "", (name,)) for kind, name in (("crash", "retrieval-1"), ("hang", "retrieval-2")))
    assert [d for t in (0, 1) for d in decide(controller, t, first)] == [Step("restart", "retrieval", "retrieval-1")]
    assert [d for t in (2, 3) for d in decide(controller, t, second)] == [Step("restart", "retrieval", "retrieval-2")]


def test_the_same_action_waits_for_its_cooldown_whatever_the_cause_is_called() -> None:
    controller = Controller(TARGETS)
    hang = replace(DEAD, kind="hang")
    assert [d for t in (0, 1) for d in decide(controller, t, DEAD)] == [RESTART]
    acted = {t: d for t in range(2, 20) if (d := decide(controller, t, hang))}
    assert acted == {int(1 + COOLDOWN_S["restart"]): [RESTART]}


def test_what_helped_and_what_did_not_is_in_the_history() -> None:
    controller = Controller(TARGETS)
    for t_s in range(1 + int(COOLDOWN_S["restart"]) + 1):
        decide(controller, t_s, DEAD)
    assert [d.helped for d in controller.history] == [False, None]
    for t_s in range(20, 30):
        decide(controller, t_s)
    assert [d.helped for d in controller.history] == [False, True]


def test_after_a_restart_that_did_not_help_the_instance_is_taken_out_of_rotation() -> None:
    controller = Controller(TARGETS)
    done = [d for t in range(30) for d in controller.decide(t, (DEAD,), alerting=True, users_affected=False, replicas={"retrieval": 2})]
    assert done[:2] == [RESTART, Step("failover", "retrieval", "retrieval-2")]
    assert isinstance(done[2], Handover)


def test_what_is_refused_goes_to_a_person_once() -> None:
    controller = Controller(TARGETS)
    assert [d for t in (0, 1) for d in decide(controller, t, DEAD)] == [RESTART]
    assert [(type(d), d.service) for d in controller.refused(RESTART) if isinstance(d, Handover)] == [(Handover, "retrieval")]
    assert controller.refused(RESTART) == []
    assert [d.helped for d in controller.history] == [False]


def test_what_is_missing_by_our_own_doing_is_not_rolled_back() -> None:
    ours, others = Controller(TARGETS), Controller(TARGETS)
    missing = Cause("retrieval", "version", 0.8, "1 of 2", (), ("InstanceMissing",))
    assert [d for t in (0, 1) for d in decide(ours, t, DEAD)] == [RESTART]
    assert [d for t in range(2, 20) for d in decide(ours, t, missing)] == []
    assert [d for t in range(2) for d in decide(others, t, missing)] == [Step("rollback", "retrieval")]


def test_a_provider_is_left_once() -> None:
    controller = Controller(TARGETS)
    slow = Cause("llm", "latency", 0.9, "")
    done = [d for t in range(80) for d in decide(controller, t, slow)]
    assert [type(d) for d in done] == [Step, Handover]


def test_a_dry_run_says_what_would_be_done_and_does_nothing() -> None:
    controller = Controller(replace(TARGETS, recovery_mode="dry_run"))
    done = [d for t in range(60) for d in decide(controller, t, DEAD)]
    assert [(type(d), d.proposal) for d in done if isinstance(d, Handover)] == [(Handover, (RESTART,))]
    assert controller.history == ()


def test_in_the_mode_of_approval_a_person_decides(tmp_path: Path) -> None:
    file = tmp_path / "approvals"
    file.write_text("restart retrieval-2\n")  # of an earlier incident
    controller = Controller(replace(TARGETS, recovery_mode="approve"), ApprovalFile(file))
    assert [type(d) for t in range(10) for d in decide(controller, t, DEAD)] == [Handover]
    with file.open("a") as lines:
        lines.write("restart retrieval-1\n")
    assert decide(controller, 10, DEAD) == []
    with file.open("a") as lines:
        lines.write("restart retrieval-2\n")
    assert decide(controller, 11, DEAD) == [RESTART]
    assert [d for t in range(12, 23) for d in decide(controller, t, DEAD)] == []


KINDS = ("crash", "hang", "memory", "latency", "load", "version", "network", "cpu")
moments = st.lists(
    st.tuples(
        st.floats(0.1, 10.0), st.sampled_from(["retrieval", "llm", "cache", "retrieval->cache"]), st.sampled_from(KINDS),
        st.floats(0.0, 1.0), st.booleans(), st.booleans(), st.sampled_from([(), ("retrieval-1",), ("retrieval-1", "retrieval-2")]),
    ),
    max_size=60,
)  # fmt: skip


@given(moments)
def test_whatever_is_diagnosed_the_guardrails_hold(history: list[tuple[float, str, str, float, bool, bool, tuple[str, ...]]]) -> None:
    controller, t_s = Controller(TARGETS), 0.0
    acted: list[tuple[float, Step]] = []
    for gap_s, service, kind, confidence, alerting, users, instances in history:
        t_s += gap_s
        cause = Cause(service, kind, confidence, "", instances if service == "retrieval" else ())
        found = controller.decide(t_s, (cause,), alerting=alerting, users_affected=users, replicas={"retrieval": 2, "cache": 1})
        steps = [d for d in found if isinstance(d, Step)]
        assert not steps or (alerting and confidence >= CONFIDENT and "->" not in service)
        assert sum(s.verb == "failover" for s in steps) < 2, "one is always left in rotation"
        acted += [(t_s, s) for s in steps]
    for t, step in acted:
        assert sum(t - WINDOW_S < other <= t for other, _ in acted) <= MAX_ACTIONS
        again = [other for other, s in acted if (s.verb, s.service, s.instance) == (step.verb, step.service, step.instance) and other > t]
        assert all(other - t >= COOLDOWN_S[step.verb] for other in again)


def test_time_scale_compresses_the_guardrails() -> None:
    scaled = Controller(Targets(kinds=TARGETS.kinds, registry=None, static={}, edges=(), time_scale=10.0))
    assert decide(scaled, 0.0, DEAD) == []
    assert decide(scaled, 0.1, DEAD) == [RESTART]
    assert [decide(scaled, t / 10, DEAD) for t in range(2, 13)] == [[]] * 11
    assert decide(scaled, 1.4, DEAD) == [RESTART]


TWO = {"retrieval": 2, "gateway": 1, "document": 1}
LEAVE = Step("switch_provider", "llm", None, {"provider": "llm_fallback"})


@pytest.mark.parametrize(
    ("cause", "users", "verbs"),
    [
        (Cause("llm", "latency", 0.9, ""), False, ["switch_provider"]),
        (Cause("llm", "credentials", 0.9, ""), False, ["switch_provider"]),
        (Cause("llm", "rate_limit", 0.9, ""), False, []),
        (Cause("llm", "rate_limit", 0.9, ""), True, ["switch_provider"]),
        (Cause("cache", "crash", 0.9, ""), False, ["restart"]),
        (Cause("cache", "latency", 0.9, "", (), ("CallLatencyHigh",)), False, []),
        (Cause("cache", "latency", 0.9, "", (), ("CacheSlow",)), False, ["restart"]),
        (Cause("cache", "data", 0.9, ""), False, ["clear_cache"]),
        (Cause("postgres", "pool", 0.9, ""), False, ["restart"]),
        (Cause("postgres", "latency", 0.9, "", (), ("CallLatencyHigh",)), True, []),
        (Cause("postgres", "latency", 0.9, "", (), ("LockWaits",)), False, ["restart"]),
        (Cause("postgres", "config", 0.9, ""), True, []),
        (Cause("postgres", "data", 0.9, "", (), ("AnswersWrong",)), True, []),
        (Cause("postgres", "data", 0.9, "", (), ("CanaryWrong",)), True, ["reindex"]),
        (Cause("retrieval", "hang", 0.9, "", ("retrieval-1",)), False, ["restart", "failover"]),
        (Cause("retrieval", "hang", 0.9, "", ("retrieval-1", "retrieval-2")), False, ["restart"]),
        (Cause("retrieval", "cpu", 0.9, "", ("retrieval-1",), ("ProcessorThrottled",)), False, ["failover", "scale"]),
        (Cause("retrieval", "pool", 0.9, ""), True, ["reset_pool", "restart"]),
        (Cause("retrieval", "version", 0.9, "", ("retrieval-1",)), False, ["rollback"]),
        (Cause("gateway", "clock", 0.9, "", ("gateway-1",)), True, []),
        (Cause("retrieval", "clock", 0.9, "", ("retrieval-1",)), True, ["failover"]),
        (Cause("gateway", "load", 0.9, ""), False, []),
        (Cause("gateway", "load", 0.9, ""), True, ["scale", "shed_load"]),
        (Cause("document", "latency", 0.9, "", (), ("DocumentsWaiting",)), False, ["scale"]),
        (Cause("retrieval->postgres", "network", 0.9, ""), True, []),
        (Cause("retrieval", "latency", 0.9, ""), True, []),
    ],
)
def test_which_actions_fit_which_cause(cause: Cause, users: bool, verbs: list[str]) -> None:
    kinds = {**TARGETS.kinds, "postgres": "postgres", "gateway": "http", "document": "http"}
    situation = Situation(replace(TARGETS, kinds=kinds), users, TWO)
    assert [rung[0].verb for rung in ladder_for(cause, situation)] == verbs


def test_a_cache_that_is_emptied_again_and_again_is_restarted() -> None:
    emptied = Cause("cache", "latency", 0.9, "", (), ("CacheEmptied",))
    assert ladder_for(emptied, Situation(TARGETS)) == ()
    assert ladder_for(emptied, Situation(TARGETS, repeated=True)) == ((Step("restart", "cache"),),)


def test_a_provider_without_another_one_is_not_left() -> None:
    alone = Targets(kinds={"llm": "llm"}, registry=None, static={}, edges=())
    assert ladder_for(Cause("llm", "latency", 0.9, ""), Situation(alone, users_affected=True)) == ()
    assert ladder_for(Cause("llm", "latency", 0.9, ""), Situation(TARGETS)) == ((LEAVE,),)


def test_the_registry_says_what_is_watched(tmp_path: Path) -> None:
    registry = tmp_path / "registry.json"
    targets = Targets(kinds=TARGETS.kinds, registry=registry, static={"cache": ("redis://127.0.0.1:1",)}, edges=())
    assert [e.instance for e in targets.endpoints()] == ["cache-1"]
    registry.write_text(
        '{"services": {"retrieval": [{"name": "retrieval-1", "url": "http://r"}], "unknown": [{"name": "u", "url": "http://u"}]}}'
    )
    assert [e.instance for e in targets.endpoints()] == ["retrieval-1", "cache-1"]
    registry.write_text("{")
    assert [e.instance for e in targets.endpoints()] == ["cache-1"]


def test_limits_of_ones_own_go_before_the_usual_ones() -> None:
    text = "services:\n  retrieval: {url: 'http://127.0.0.1:1'}\nrecovery: {most_actions: 1, within: 2m, cooldown: {restart: 30s}}\n"
    controller = Controller(stack_of_text(text, "S", {}).targets)
    done = {t: decided for t in range(60) if (decided := decide(controller, t, DEAD))}
    first, second = sorted(done)
    assert done[first] == [RESTART] and second - first == 30
    (told,) = done[second]
    assert isinstance(told, Handover) and told.reason.startswith("1 actions in 120 s did not bring calm")
    never = Controller(replace(TARGETS, most_actions=0))
    assert all(isinstance(one, Handover) for t in range(20) for one in decide(never, t, DEAD))


@pytest.mark.parametrize(("given", "told"), [("within: soon", "soon"), ("cooldown: {restart: 5}", "5 is no duration; write 30s or 5m")])
def test_a_limit_that_is_none_is_one_clear_error(given: str, told: str) -> None:
    with pytest.raises(StackFileError, match=rf"^S:3:.*{told}"):
        stack_of_text(f"services:\n  a: {{url: 'http://127.0.0.1:1'}}\nrecovery: {{{given}}}\n", "S", {})
