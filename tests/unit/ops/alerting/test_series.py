"""Series in memory: when one is there, and what of it is kept; and expressions over compressed time."""

from __future__ import annotations

import pytest

from harness.ops.alerting.promql.evaluate import Moment, evaluate
from harness.ops.alerting.promql.parse import PromqlError, compared, parse
from harness.ops.alerting.promql.series import Series, SeriesStore, labels_of
from harness.ops.alerting.promql.syntax import reaches_ms
from harness.ops.alerting.promql.vectors import Element

A = labels_of({"__name__": "a", "job": "x", "nothing": ""})


def store(*points: tuple[int, float]) -> SeriesStore:
    found = SeriesStore()
    for t_s, value in points:
        found.append(A, t_s * 1000, value)
    return found


def ask(text: str, of: SeriesStore, t_s: float, time_scale: float = 1.0) -> object:
    return evaluate(parse(text), Moment(of, round(t_s * 1000), time_scale))


def test_a_label_without_a_value_is_none() -> None:
    assert A == (("__name__", "a"), ("job", "x"))


def test_a_point_counts_for_five_minutes_unless_its_series_has_ended() -> None:
    one = store((0, 7.0))
    assert ask("a", one, 300) == [Element(A, 7.0)]
    assert ask("a", one, 300.001) == []
    one.end([A], 60_000)
    assert ask("a", one, 59) == [Element(A, 7.0)]
    assert ask("a", one, 61) == []
    one.append(A, 90_000, 8.0)
    assert ask("a", one, 91) == [Element(A, 8.0)]


def test_an_end_is_noted_once_and_never_of_a_series_that_was_not_there() -> None:
    one = Series(A)
    one.end(5)
    assert one.ends_ms == []
    one.append(10, 1.0)
    one.end(20)
    one.end(30)
    assert one.ends_ms == [20]


def test_points_that_are_not_newer_are_dropped() -> None:
    one = Series(A)
    for t_ms, value in ((10, 1.0), (10, 2.0), (5, 3.0), (11, 4.0)):
        one.append(t_ms, value)
    assert (one.t_ms, one.values) == ([10, 11], [1.0, 4.0])


def test_what_is_old_is_forgotten_and_then_the_series() -> None:
    one = store((0, 1.0), (60, 2.0))
    one.forget(30_000, lambda _: 0)
    assert ask("count_over_time(a[5m])", one, 60) == [Element((("job", "x"),), 1.0)]
    one.forget(61_000, lambda _: 0)
    assert len(one) == 0 and ask("a", one, 61) == []


def test_resets_before_the_range_are_not_counted_again() -> None:
    one = store((0, 100.0), (10, 5.0), (20, 10.0), (30, 20.0))
    assert ask("increase(a[20s])", one, 30) == [Element((("job", "x"),), 15.0)]
    one.forget(15_000, lambda _: 0)
    assert ask("increase(a[10s])", one, 30) == [Element((("job", "x"),), 10.0)]


def test_time_scale_divides_every_duration_but_no_rate() -> None:
    """Ten times compressed: five minutes are thirty seconds, and a rate is still of real seconds."""
    one = store(*((n, 5.0 * n) for n in range(31)))
    assert ask("rate(a[5m])", one, 30, 10.0) == [Element((("job", "x"),), pytest.approx(5.0))]
    assert ask("a offset 1m", one, 30, 10.0) == [Element(A, 5.0 * 24)]
    assert ask("a", one, 60, 10.0) == [Element(A, 150.0)]
    assert ask("a", one, 61, 10.0) == []
    assert ask("predict_linear(a[5m], 100)", one, 30, 10.0) == [Element((("job", "x"),), pytest.approx(150 + 5 * 10))]


def test_how_far_back_an_expression_looks() -> None:
    asked = reaches_ms(parse("a + rate(b[1h] offset 5m) > 3 or absent(c offset 2h) or deriv(a[1m])"), 300_000)
    assert sorted((one.name, ms) for one, ms in asked) == [("a", 60_000), ("a", 300_000), ("b", 3_900_000), ("c", 7_500_000)]


@pytest.mark.parametrize(
    ("text", "why", "token"),
    [
        ("max_over_time(rate(a[1m])[5m:])", "a subquery", ":"),
        ("a @ 3", "modifier `@`", "@"),
        ("holt_winters(a[5m], 0.5, 0.5)", "holt_winters", "holt_winters"),
        ("count_values('v', a)", "count_values", "count_values"),
        ("foo(a)", "unknown function", "foo"),
        ("rate(a)", "expected type", "rate"),
        ('a{b=~"(?P<n>"}', "regex", ""),
        ("sum(a", "unclosed", ""),
    ],
)
def test_what_cannot_be_evaluated_is_refused_with_the_word_at_fault(text: str, why: str, token: str) -> None:
    with pytest.raises(PromqlError, match=why) as refused:
        parse(text)
    assert refused.value.token == token or not token


def test_what_is_outside_the_subset_can_go_to_a_real_prometheus() -> None:
    with pytest.raises(PromqlError, match="a real Prometheus can evaluate it"):
        parse("a[5m:1m]")


def test_the_comparison_of_an_alert() -> None:
    found = compared('(sum(rate(a{b="c"}[1m])) > 0.1) and d > 3')
    assert found is not None and (found.query, found.op, found.limit) == ('sum(rate(a{b="c"}[1m]))', ">", 0.1)
    assert compared("absent(a)") is None
