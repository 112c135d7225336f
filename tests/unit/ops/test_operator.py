"""The operator against a simulated stack: silent when nothing is wrong, pointed and sparing when something is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.ops.recovery.strategies import Step
from tests.unit.ops.world import Ear, World, on_call

CALM_S = 35


def after_calm(tmp_path: Path, seed: int = 1) -> tuple[World, Ear, object]:
    world = World(tmp_path, seed=seed)
    operator, ear = on_call(world)
    for _ in range(CALM_S):
        operator.round(world.step())
    assert ear.said == []
    return world, ear, operator


def go_on(world: World, operator: object, seconds: int) -> None:
    for _ in range(seconds):
        operator.round(world.step())  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_says_nothing(tmp_path: Path, seed: int) -> None:
    world, ear, operator = after_calm(tmp_path, seed)
    world.noise = 0.4
    go_on(world, operator, 120)
    assert ear.said == []


def test_a_spike_of_load_says_nothing(tmp_path: Path) -> None:
    world, ear, operator = after_calm(tmp_path)
    world.rate_per_s, world.slow = 50.0, {"gateway": 0.02, "llm": 0.1}
    go_on(world, operator, 30)
    assert ear.said == []


def test_a_drained_replica_of_a_rolling_deploy_says_nothing(tmp_path: Path) -> None:
    world, ear, operator = after_calm(tmp_path)
    for instance in ("retrieval-1", "retrieval-2"):
        world.deregistered, world.down = {instance}, {instance: "refused"}
        go_on(world, operator, 6)
        world.deregistered, world.down = set(), {}
        go_on(world, operator, 3)
    assert ear.said == []


def test_a_slow_provider_is_named_and_left(tmp_path: Path) -> None:
    world, ear, operator = after_calm(tmp_path)
    world.slow = {"llm": 4.0}
    go_on(world, operator, 10)
    at, _ = ear.first("firing")
    assert at - CALM_S <= 8
    assert ear.of("diagnosis")[-1][0] == ("llm", "latency")  # type: ignore[index]
    assert ear.of("action") == [Step("switch_provider", "llm", None, {"provider": "llm_fallback"})]
    assert ear.of("escalation") == []


def test_who_calls_whom_is_learnt_from_calls_where_nobody_says_it(tmp_path: Path) -> None:
    """Without edges every caller of a slow provider looks as slow as it."""
    world = World(tmp_path)
    world.targets = replace(world.targets, edges=())
    operator, ear = on_call(world)
    for _ in range(40):
        operator.round(world.step())
    assert ear.said == []
    world.slow = {"llm": 4.0}
    for _ in range(8):
        operator.round(world.step())
    assert ear.of("diagnosis")[-1][0] == ("llm", "latency"), ear.of("diagnosis")  # type: ignore[index]
    assert not {"InstanceDown gateway", "LatencyHigh gateway", "LatencyHigh query"} & set(ear.of("firing"))


def test_a_killed_replica_is_restarted_itself(tmp_path: Path) -> None:
    world, ear, operator = after_calm(tmp_path)
    world.down = {"retrieval-2": "refused"}
    go_on(world, operator, 5)
    assert ear.of("firing") == ["InstanceDown retrieval"]
    assert ear.of("diagnosis") == [(("retrieval", "crash"),)]
    assert ear.of("action") == [Step("restart", "retrieval", "retrieval-2")]
    world.down = {}
    go_on(world, operator, 20)
    assert ear.of("resolved") == ["InstanceDown retrieval"]
    assert len(ear.of("action")) == 1


def test_a_frozen_replica_is_told_from_a_dead_one(tmp_path: Path) -> None:
    world, ear, operator = after_calm(tmp_path)
    world.down = {"generation-1": "timeout"}
    go_on(world, operator, 5)
    assert ear.of("diagnosis") == [(("generation", "hang"),)]


def test_what_a_lost_host_took_with_it_is_dead_and_not_frozen(tmp_path: Path) -> None:
    world, ear, operator = after_calm(tmp_path)
    world.down = {"generation-1": "timeout", "retrieval-2": "timeout"}  # the look that was under way
    go_on(world, operator, 1)
    world.down = {"generation-1": "unreachable", "retrieval-2": "unreachable"}
    go_on(world, operator, 5)
    assert set(ear.of("firing")) == {"InstanceDown generation", "InstanceDown retrieval"}
    assert set(ear.of("diagnosis")[-1]) == {("generation", "crash"), ("retrieval", "crash")}
    assert Step("restart", "retrieval", "retrieval-2") in ear.of("action") or Step("restart", "generation", "generation-1") in ear.of(
        "action"
    )


def test_a_dead_cache_is_restarted_and_its_callers_are_not_blamed(tmp_path: Path) -> None:
    world, ear, operator = after_calm(tmp_path)
    world.down = {"cache-1": "refused"}
    world.failing = {(caller, "cache"): ("connect_error", 1.0) for caller in ("retrieval", "document", "gateway")}
    go_on(world, operator, 8)
    for causes in ear.of("diagnosis"):
        assert causes[0] == ("cache", "crash")  # type: ignore[index]
    assert ear.of("action") == [Step("restart", "cache", "cache-1")]


def test_a_slow_way_is_blamed_as_an_edge_and_handed_over(tmp_path: Path) -> None:
    world, ear, operator = after_calm(tmp_path)
    world.way = {("retrieval", "postgres"): 0.4}
    go_on(world, operator, 20)
    assert ear.of("diagnosis")[-1][0] == ("retrieval->postgres", "network")  # type: ignore[index]
    assert ear.of("action") == []
    assert ear.of("escalation") == ["retrieval->postgres"]


def test_a_slow_database_is_told_from_a_slow_way_to_it(tmp_path: Path) -> None:
    world, ear, operator = after_calm(tmp_path)
    world.slow = {"postgres": 0.4}
    go_on(world, operator, 12)
    assert ear.of("diagnosis")[-1][0] == ("postgres", "latency")  # type: ignore[index]


def test_an_absorbed_rate_limit_is_named_and_nothing_is_done(tmp_path: Path) -> None:
    world, ear, operator = after_calm(tmp_path)
    world.failing = {("generation", "llm"): ("rate_limited", 0.8)}
    go_on(world, operator, 20)
    assert ear.of("diagnosis") == [(("llm", "rate_limit"),)]
    assert ear.of("action") == []


def test_a_burst_that_opens_the_circuit_within_a_second_is_still_named(tmp_path: Path) -> None:
    world, ear, operator = after_calm(tmp_path)
    world.failing = {("generation", "llm"): ("rate_limited", 0.9)}
    go_on(world, operator, 1)
    world.failing = {("generation", "llm"): ("circuit_open", 1.0)}
    go_on(world, operator, 30)
    assert ear.of("firing") == ["RateLimited llm"]
    assert ear.of("diagnosis") == [(("llm", "rate_limit"),)]
    assert ear.of("resolved") == []
    world.failing = {}
    go_on(world, operator, 15)
    assert ear.of("resolved") == ["RateLimited llm"]


def test_what_two_actions_do_not_heal_goes_to_a_person(tmp_path: Path) -> None:
    world, ear, operator = after_calm(tmp_path)
    world.down = {"retrieval-2": "refused"}
    go_on(world, operator, 60)
    assert len(ear.of("action")) == 2
    assert ear.of("escalation") == ["retrieval"]


def test_an_anomaly_that_lasts_is_not_learnt(tmp_path: Path) -> None:
    world, ear, operator = after_calm(tmp_path)
    world.way = {("retrieval", "postgres"): 0.4}
    go_on(world, operator, 200)
    assert ear.of("resolved") == []
