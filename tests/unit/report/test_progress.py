"""How far long work has come: nothing of what is short, a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from harness.report.progress import ProgressView
from harness.testing.clock import FakeClock


def view(clock: FakeClock, *, terminal: bool = False, quiet: bool = False) -> tuple[ProgressView, io.StringIO]:
    out = io.StringIO()
    return ProgressView(quiet=quiet, clock=clock, console=Console(file=out, force_terminal=terminal, width=80, highlight=False)), out


def worked(shown: ProgressView, clock: FakeClock, seconds: int, done: int = 5) -> None:
    for _ in range(seconds):
        clock.advance(1.0)
        shown.advance(done)
        shown.look()


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_over_in_less_than_two_seconds_says_nothing(terminal: bool) -> None:
    clock = FakeClock(100.0)
    shown, out = view(clock, terminal=terminal)
    shown.begin("reading", 10)
    worked(shown, clock, 1)
    shown.begin("judging", 10)
    clock.advance(0.9)
    shown.look()
    assert out.getvalue() == ""


def test_lines_come_after_two_seconds_and_then_every_ten() -> None:
    clock = FakeClock(100.0)
    shown, out = view(clock)
    shown.begin("reading r1", 100)
    worked(shown, clock, 13)
    shown.begin("judging", 1000)
    worked(shown, clock, 10, done=4)
    assert out.getvalue().splitlines() == [
        "reading r1: 10%, about 18s left",
        "reading r1: 60%, about 8s left",
        "judging: 4%, about 4 min left",
    ]


def test_a_total_that_nobody_knows_or_that_falls_short_gives_no_time_left() -> None:
    clock = FakeClock(100.0)
    shown, out = view(clock)
    shown.begin("writing", 0)
    worked(shown, clock, 2)
    shown.begin("judging", 30)
    worked(shown, clock, 10)
    assert out.getvalue().splitlines() == ["writing: for 2s", "judging: for 10s"]


def test_between_two_steps_the_time_that_is_left_runs_down() -> None:
    clock = FakeClock(100.0)
    shown, out = view(clock)
    shown.begin("building", 4)
    shown.look()
    clock.advance(20.0)
    shown.look()
    shown.advance(1)
    shown.look()  # seen now, told with the next line
    clock.advance(10.0)
    shown.look()
    clock.advance(55.0)
    shown.look()
    assert out.getvalue().splitlines() == ["building: 0%, for 20s", "building: 25%, about 50s left", "building: 25%, for 85s"]


def test_a_bar_on_a_terminal_leaves_nothing_behind() -> None:
    clock = FakeClock(100.0)
    shown, out = view(clock, terminal=True)
    with shown:
        shown.begin("judging [b]", 100)
        worked(shown, clock, 10)
        shown.say("one line that stays")
        drawn = out.getvalue()
    assert "judging [b]" in drawn
    assert "50%, about 10s left" in drawn
    assert "one line that stays" in drawn
    assert out.getvalue().endswith("\x1b[2K"), "the line of the bar is cleared"
    assert "\x1b[?25h" in out.getvalue(), "the cursor is back"


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_says_only_what_it_is_told_to_say(terminal: bool) -> None:
    clock = FakeClock(100.0)
    shown, out = view(clock, terminal=terminal, quiet=True)
    with shown:
        shown.begin("judging", 100)
        worked(shown, clock, 20)
        shown.say("built")
    assert out.getvalue() == "built\n"


def test_its_thread_ends_with_it() -> None:
    shown, _ = view(FakeClock())
    with shown:
        assert "progress" in [thread.name for thread in threading.enumerate()]
    assert "progress" not in [thread.name for thread in threading.enumerate()]
