"""Memory, processors, descriptors; and telemetry that does not come, stands still, or tells another time."""

from __future__ import annotations

import pytest

from harness.ops.diagnosis.rules.resources import MB, DescriptorRules, MemoryRules, ProcessorRules
from harness.ops.diagnosis.rules.telemetry import TelemetryRules
from tests.unit.ops.stage import Stage, told


def memory(stage: Stage, used_mb: float, limit_mb: float | None = None) -> list[tuple[str, str, str]]:
    samples = [("container_memory_usage_bytes", {}, used_mb * MB)]
    samples += [("container_spec_memory_limit_bytes", {}, limit_mb * MB)] if limit_mb else []
    return told(stage.show(stage.look("retrieval-1", samples)))


def test_memory_that_only_grows_leaks() -> None:
    stage = Stage(MemoryRules())
    assert [memory(stage, 60.0) for _ in range(10)] == [[]] * 10
    said = [memory(stage, 60.0 + 10 * n) for n in range(1, 6)]
    assert said[-1] == [("MemoryGrowing", "retrieval", "memory")]


@pytest.mark.parametrize(
    "mb", [[60 + 0.5 * n for n in range(30)], [60 + 25 * (n % 3) for n in range(30)], [60, 60, 60, 120, 120, 120, 120]]
)
def test_warming_up_breathing_and_one_step_are_no_leak(mb: list[float]) -> None:
    stage = Stage(MemoryRules())
    assert [memory(stage, value) for value in mb] == [[]] * len(mb)


def test_a_process_that_has_just_started_may_load_what_it_likes() -> None:
    stage = Stage(MemoryRules())

    def shown(used_mb: float, started_s: float) -> list[tuple[str, str, str]]:
        samples = [("container_memory_usage_bytes", {}, used_mb * MB), ("process_start_time_seconds", {}, started_s)]
        return told(stage.show(stage.look("retrieval-1", samples)))

    assert [shown(60, 1.0) for _ in range(6)] == [[]] * 6
    assert [shown(60 + 20 * n, 7.0) for n in range(8)] == [[]] * 8


def test_memory_near_its_limit() -> None:
    stage = Stage(MemoryRules())
    assert memory(stage, 340, 384) == []
    assert [memory(stage, 370, 384) for _ in range(2)] == [[], [("MemoryNearLimit", "retrieval", "memory")]]


def processor(stage: Stage, *, throttled: float = 0, beside_s: float = 0) -> list[tuple[str, str, str]]:
    stage.count("retrieval-1", "container_cpu_cfs_periods_total", 10)
    stage.count("retrieval-1", "container_cpu_cfs_throttled_periods_total", throttled)
    stage.count("retrieval-1", "container_beside_cpu_seconds_total", beside_s)
    return told(stage.show(stage.look("retrieval-1")))


def test_processors_that_are_held_back_or_shared() -> None:
    calm, throttled, shared = (Stage(ProcessorRules()) for _ in range(3))
    assert [processor(calm, throttled=1) for _ in range(8)] == [[]] * 8
    assert [processor(throttled, throttled=9) for _ in range(3)][-1] == [("ProcessorThrottled", "retrieval", "cpu")]
    now_and_then = Stage(ProcessorRules())
    assert [processor(now_and_then, throttled=3) for _ in range(3)][-1] == [("ProcessorThrottled", "retrieval", "cpu")]
    assert [processor(shared, beside_s=0.9) for _ in range(4)][-1] == [("ProcessorContended", "retrieval", "cpu")]


def test_no_descriptor_left_must_be_so_twice() -> None:
    stage = Stage(DescriptorRules())
    free = [50.0, 0.0, 1.0, 0.0, 0.0]
    said = [told(stage.show(stage.look("retrieval-1", [("container_descriptors_free", {}, n)]))) for n in free]
    assert said == [[], [], [], [], [("DescriptorsExhausted", "retrieval", "descriptors")]]


def test_metrics_that_do_not_come_from_one_who_serves() -> None:
    stage = Stage(TelemetryRules())
    dead = [told(stage.show(stage.look("retrieval-1", error="timeout"))) for _ in range(3)]
    assert dead == [[]] * 3
    blind = [told(stage.show(stage.look("retrieval-1", error="timeout", serving=True))) for _ in range(3)]
    assert blind == [[], [], [("MetricsLost", "retrieval", "observability")]]


def test_metrics_that_stand_still_while_the_service_is_called() -> None:
    stage = Stage(TelemetryRules())

    def shown(cpu_s: float, n: int, calls: float = 8.0) -> list[tuple[str, str, str]]:
        stage.count("query-1", "rag_client_requests_total", calls, callee="retrieval", outcome="ok")
        own = [("process_cpu_seconds_total", {}, cpu_s), ("container_processes", {}, float(n))]
        query = stage.look("query-1", [("process_cpu_seconds_total", {}, stage.t_s)])
        return told(stage.show(query, stage.look("retrieval-1", own)))

    assert [shown(1.0 + 0.01 * n, n) for n in range(20)] == [[]] * 20
    assert [shown(1.19, n) for n in range(6)][-1] == [("MetricsStale", "retrieval", "observability")]
    assert [shown(1.3, n, calls=0.0) for n in range(20)][-1] == [], "who is not called may be idle"


@pytest.mark.parametrize(("ahead_s", "said"), [(1.9, []), (-4.0, []), (7200.0, [("ClockSkew", "retrieval", "clock")]), (None, [])])
def test_the_date_of_an_answer_tells_the_clock(ahead_s: float | None, said: list[tuple[str, str, str]]) -> None:
    stage = Stage(TelemetryRules())
    assert [told(stage.show(stage.look("retrieval-1", ahead_s=ahead_s))) for _ in range(2)][-1] == said
