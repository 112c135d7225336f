"""Key metrics: the right direction, a warning at 80 % of the way, and nothing said of what is not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.ops.monitoring.levels import LIMITED, Levels, overall
from harness.ops.monitoring.readings import Reading, by_key
from harness.scenario.units import limit


def level_of(*readings: Reading, metric: str | None = None, subjects: tuple[str, ...] = ()) -> str:
    found = Levels(subjects).judge(by_key(readings))
    return next(s.level for s in found if metric in (None, s.metric))


@pytest.mark.parametrize(
    ("metric", "healthy", "warning", "critical"),
    [
        ("availability", 0.993, 0.9915, 0.98),
        ("response_time", 1.5, 1.7, 2.1),
        ("error_rate", 0.005, 0.009, 0.02),
        ("cpu", 0.6, 0.65, 0.81),
        ("memory", 0.6, 0.7, 0.9),
        ("disk", 0.7, 0.75, 0.95),
    ],
)
def test_each_metric_in_its_direction(metric: str, healthy: float, warning: float, critical: float) -> None:
    of = {value: level_of(Reading("a", metric, value, 10_000), metric=metric) for value in (healthy, warning, critical)}
    assert list(of.values()) == ["healthy", "warning", "critical"]


@pytest.mark.parametrize("metric", sorted(LIMITED.keys() - {"throughput"}))
def test_the_limit_itself_is_kept_and_is_a_warning(metric: str) -> None:
    assert level_of(Reading("a", metric, LIMITED[metric].limit.value, 10_000), metric=metric) == "warning"


@pytest.mark.parametrize(
    ("offered", "through", "level"),
    [(20.0, 20.0, "healthy"), (20.0, 17.0, "critical"), (20.0, 18.3, "warning"), (500.0, 200.0, "healthy"), (500.0, 90.0, "critical")],
)
def test_throughput_is_judged_against_what_is_offered(offered: float, through: float, level: str) -> None:
    assert level_of(Reading("a", "throughput", through), Reading("a", "offered", offered, 600), metric="throughput") == level


def test_what_is_not_known_is_unknown() -> None:
    assert level_of(Reading("a", "throughput", 5.0)) == "unknown"
    assert level_of(Reading("a", "availability", 0.5, 10)) == "unknown", "ten requests say nothing of 99 %"
    silent = Levels(["a"]).judge({})
    assert [(s.metric, s.level) for s in silent] == [("availability", "unknown"), ("response_time", "unknown")]
    assert (overall(silent), overall(())) == ("unknown", "unknown")


def test_too_few_events_do_not_make_the_whole_unknown() -> None:
    found = Levels(["a"]).judge(
        by_key([Reading("a", "availability_by_looks", 1.0, 60), Reading("a", "look_time", 0.01), Reading("a", "error_rate", 0.0, 3)])
    )
    assert {s.metric: s.level for s in found} == {"availability": "healthy", "response_time": "healthy", "error_rate": "unknown"}
    assert overall(found) == "healthy"


def test_a_single_failure_is_no_rate() -> None:
    assert level_of(Reading("a", "availability", 59 / 60, 60)) == "warning"
    assert level_of(Reading("a", "availability", 58 / 60, 60)) == "critical"


def test_limits_of_ones_own() -> None:
    levels = Levels((), {"cpu": limit("<= 50%")})
    (status,) = levels.judge(by_key([Reading("a", "cpu", 0.6)]))
    assert (status.level, status.limit) == ("critical", "<= 50%")


@given(metric=st.sampled_from(sorted(LIMITED.keys() - {"throughput"})), a=st.floats(0, 1), b=st.floats(0, 1))
def test_worse_is_never_judged_better(metric: str, a: float, b: float) -> None:
    order = ("healthy", "warning", "critical")
    better, worse = (max(a, b), min(a, b)) if LIMITED[metric].best else (min(a, b), max(a, b))
    found = [order.index(level_of(Reading("a", metric, value, 10_000))) for value in (better, worse)]
    assert found[0] <= found[1]
