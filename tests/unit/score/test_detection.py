"""Alerts against known faults: episodes, matching, and what is printed of a few of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.score.detection import DetectionScore, detect, episodes
from tests.history_builder import START_NS, history

RUN = ("0s steady_state", "100s end")
FAULT = "30s fault latency@llm blast=generation,query"


def detected(*lines: str) -> DetectionScore:
    return detect(history(*RUN, *lines))


def starts(*lines: str) -> list[tuple[float, float | None]]:
    def s(t_ns: int | None) -> float | None:
        return None if t_ns is None else (t_ns - START_NS) / 1e9

    return [(s(e.start_ns) or 0.0, s(e.resolved_ns)) for e in episodes(history(*RUN, *lines).alerts)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["5s alert llm"], [(5, None)]),
        (["5s alert llm", "9s alert llm", "60s alert llm"], [(5, None)]),  # repeats of one that was never resolved
        (["5s alert llm", "9s resolved llm", "20s alert llm", "25s resolved llm"], [(5, 25)]),  # flapping
        (["5s alert llm", "9s resolved llm", "24.1s alert llm"], [(5, 9), (24.1, None)]),  # beyond the cool-down
        (["5s alert llm", "6s alert query"], [(5, None), (6, None)]),
        (["5s resolved llm"], []),
    ],
)
def test_episodes(lines: list[str], expected: list[tuple[float, float | None]]) -> None:
    assert starts(*lines) == expected


@pytest.mark.parametrize(
    ("alert", "delay", "false_alarms"),
    [
        ("33.5s alert llm", 3.5, 0),
        ("33.5s alert generation", 3.5, 0),
        ("33.5s alert retrieval", None, 1),  # outside of the blast radius
        ("33.5s alert -", None, 1),  # names no service
        ("29s alert llm", None, 1),  # was firing before onset
        ("30s alert llm", 0.0, 0),
        ("85s alert llm", 55.0, 0),  # within the grace after the heal
        ("85.1s alert llm", None, 1),
    ],
)
def test_one_alert(alert: str, delay: float | None, false_alarms: int) -> None:
    score = detected(FAULT, alert, "70s heal")
    assert [d.delay_s for d in score.detections] == [delay]
    assert len(score.false_alarms) == false_alarms


@pytest.mark.parametrize(
    ("alert", "delay", "false_alarms"),
    [
        ("28.9s alert llm", None, 1),
        ("29s alert llm", 0.0, 0),
        ("29.9s alert llm", 0.0, 0),  # it bit before the verb had returned
        ("31s alert llm", 1.0, 0),  # still counted from the onset
        ("29.9s alert retrieval", None, 1),
    ],
)
def test_who_sees_a_fault_while_it_is_being_injected_is_right(alert: str, delay: float | None, false_alarms: int) -> None:
    score = detected(FAULT.replace("30s fault", "29s intended"), "30s injected", "30s effective", alert, "70s heal")
    assert [d.delay_s for d in score.detections] == [delay]
    assert len(score.false_alarms) == false_alarms
    assert (score.detections[0].window_s, score.fault_free_s) == (55.0, pytest.approx(100 - 56))


def test_one_that_was_firing_before_onset_matches_nothing_even_when_it_repeats() -> None:
    score = detected("20s alert llm", FAULT, "33s alert llm", "70s heal")
    assert (score.recall, len(score.false_alarms), score.precision) == (0.0, 1, 0.0)


def test_further_alerts_of_the_radius_are_duplicates() -> None:
    score = detected(FAULT, "33s alert query", "34s alert llm", "35s alert generation", "36s alert user", "70s heal")
    (found,) = score.detections
    assert (found.delay_s, found.duplicates, score.precision) == (3.0, 2, 1 / 2)


def test_a_benign_change_matches_nothing() -> None:
    score = detected("30s fault none@retrieval benign", "33s alert retrieval", "70s heal")
    assert (score.detections, len(score.false_alarms), score.fault_free_s) == ((), 1, 100.0)


def test_an_alert_about_a_fault_that_may_not_have_bitten_counts_neither_way() -> None:
    score = detected("30s intended latency@llm", "30s injected", "33s alert llm", "40s not_effective", "70s heal", "90s alert llm name=B")
    assert (score.episodes, [e.name for e in score.false_alarms]) == (1, ["B"])


def test_of_two_faults_the_one_whose_target_is_named() -> None:
    score = detected(
        "20s fault crash@cache id=a blast=retrieval", "25s fault latency@postgres id=b blast=retrieval", "30s alert postgres",
        "31s alert retrieval", "32s alert retrieval name=B", "60s heal a", "60s heal b",
    )  # fmt: skip
    assert {d.fault_id: (d.delay_s, d.duplicates) for d in score.detections} == {"a": (11.0, 1), "b": (5.0, 0)}


def test_scores_of_several() -> None:
    score = detected(
        "10s fault latency@llm id=a", "12s alert llm", "20s heal a", "50s fault crash@cache id=b", "60s heal b", "95s alert user",
    )  # fmt: skip
    assert (score.recall, score.precision, score.mttd_s) == (0.5, 0.5, 2.0)
    assert score.censored_mean_s == pytest.approx((2.0 + 25.0) / 2), "a miss counts as the window: 10 s of fault and 15 s of grace"
    assert score.fault_free_s == pytest.approx(50.0)
    assert score.false_alarms_per_hour == pytest.approx(72.0)
    assert score.false_alarms_per_hour_bound is None


TWO_FAULTS = ("10s fault network@llm id=a", "30s heal a", "42s fault network@llm id=b", "60s heal b")


@pytest.mark.parametrize(
    ("alerts", "of_the_second", "duplicates"),
    [
        (["12s alert llm", "34s resolved llm", "43.5s alert llm"], 1.5, 0),
        (["12s alert llm", "16s resolved llm", "20s alert llm", "34s resolved llm", "43.5s alert llm"], 1.5, 0),  # flapped while it lasted
        (["12s alert llm", "43.5s alert llm"], None, 0),  # never resolved
        (["12s alert llm", "42.5s resolved llm", "43.5s alert llm"], None, 0),  # not before the second began
        (["12s alert llm", "34s resolved llm", "36s alert llm", "38s resolved llm", "43.5s alert llm"], None, 0),  # flaps on its own
        (["12s alert llm", "34s resolved llm", "41s alert llm", "44s resolved llm", "45s alert llm"], None, 0),
        (["5s alert llm", "34s resolved llm", "43.5s alert llm"], None, 0),  # the first was not what it was about
    ],
)
def test_what_was_told_of_one_fault_and_taken_back_is_told_anew_of_the_next(
    alerts: list[str], of_the_second: float | None, duplicates: int
) -> None:
    first, second = detected(*TWO_FAULTS, *alerts).detections
    assert (second.delay_s, first.duplicates + second.duplicates) == (of_the_second, duplicates)


def test_nothing_is_told_anew_while_the_fault_before_is_not_proved_gone() -> None:
    told = ("12s alert llm", "34s resolved llm", "43.5s alert llm")
    _, second = detected("10s fault network@llm id=a", "42s fault network@llm id=b", "60s heal b", *told).detections
    assert second.delay_s is None


@given(st.lists(st.floats(0.2, 5.0), min_size=60, max_size=60), st.floats(1.0, 25.0))
def test_an_alert_that_flaps_finds_no_second_fault(lasting_s: list[float], first_s: float) -> None:
    """However it flaps: between the faults, 12 s apart, it fires at least once on its own account."""
    lines, at_s = [], first_s
    for place, length_s in enumerate(lasting_s):
        lines.append(f"{at_s:.3f}s {'resolved' if place % 2 else 'alert'} llm")
        at_s += length_s
    lines = [line for line in lines if float(line.partition("s")[0]) < 100]
    assert detected(*TWO_FAULTS, *lines).detections[1].delay_s is None


def test_silence_has_a_bound() -> None:
    score = detected()
    assert (score.recall, score.precision, score.mttd_s, score.censored_mean_s) == (None, None, None, None)
    assert score.false_alarms_per_hour_bound == pytest.approx(3.0 * 36, rel=0.01)


def test_a_fault_that_never_heals_is_open_to_the_end() -> None:
    assert detected(FAULT, "99s alert llm").recall == 1.0
