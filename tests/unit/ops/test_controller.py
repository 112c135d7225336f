"""Guardrails: settle, act once, wait, try once more, hand over; and what is never acted upon."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.ops.diagnosis.ranking import Cause
from harness.ops.recovery.controller import COOLDOWN_S, FORGOTTEN_AFTER_S, Controller, Handover
from harness.ops.recovery.strategies import Step, steps_for
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
    assert second - first == COOLDOWN_S == third - second
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
    kinds = ("crash", "hang", "memory", "descriptors", "crash", "hang")
    services = ("retrieval",) * 4 + ("cache",) * 2
    decisions: list[Step | Handover] = []
    for n, (service, kind) in enumerate(zip(services, kinds, strict=True)):
        cause = Cause(service, kind, 0.95, "seen")
        for t_s in (n * 2.0, n * 2.0 + 1):
            decisions += decide(controller, t_s, cause)
    assert [type(d) for d in decisions] == [Step] * 4 + [Handover] * 2


def test_time_scale_compresses_the_guardrails() -> None:
    scaled = Controller(Targets(kinds=TARGETS.kinds, registry=None, static={}, edges=(), time_scale=10.0))
    assert decide(scaled, 0.0, DEAD) == []
    assert decide(scaled, 0.1, DEAD) == [RESTART]
    assert decide(scaled, 1.4, DEAD) == [RESTART]


@pytest.mark.parametrize(
    ("cause", "users", "steps"),
    [
        (Cause("llm", "latency", 0.9, ""), False, (Step("switch_provider", "llm", None, {"provider": "llm_fallback"}),)),
        (Cause("llm", "rate_limit", 0.9, ""), False, ()),
        (Cause("llm", "rate_limit", 0.9, ""), True, (Step("switch_provider", "llm", None, {"provider": "llm_fallback"}),)),
        (Cause("cache", "crash", 0.9, ""), False, (Step("restart", "cache"),)),
        (Cause("retrieval", "hang", 0.9, "", ("retrieval-1",)), False, (Step("restart", "retrieval", "retrieval-1"),)),
        (Cause("retrieval", "pool", 0.9, ""), True, (Step("reset_pool", "retrieval"),)),
        (Cause("retrieval->postgres", "network", 0.9, ""), True, ()),
        (Cause("retrieval", "latency", 0.9, ""), True, ()),
    ],
)
def test_which_action_fits_which_cause(cause: Cause, users: bool, steps: tuple[Step, ...]) -> None:
    assert steps_for(cause, TARGETS, users_affected=users) == steps


def test_a_provider_without_another_one_is_not_left() -> None:
    alone = Targets(kinds={"llm": "llm"}, registry=None, static={}, edges=())
    assert steps_for(Cause("llm", "latency", 0.9, ""), alone, users_affected=True) == ()


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
