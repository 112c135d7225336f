"""The terminal: the summary at the end and the view while a run works."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.gate import Verdict
from harness.report import live, terminal
from harness.report.live import Lines, LiveView
from harness.report.material import Material
from harness.report.state import LiveState
from harness.report.stories import stories
from harness.score.check import Result, Status
from tests.unit.report import sample

RUN_DIR = Path("runs/llm-brownout/20260801T100000Z-0123456")
LOAD = (
    "load: open model on Locust: arrivals came whatever the answers did, and latency counts from when each was due; "
    "2,500 arrivals, 2,500 sent"
)
STORY = (
    "- slow-llm: llm.slow_first_token on llm, onset at 35.2s; alert +6s (LatencyHigh); diagnosis llm/latency +8.8s; "
    "action switch_provider generation +10.8s; regained +12s; outcome recovered"
)
STATE = LiveState(
    scenario="llm-brownout", phase="fault", phase_elapsed_s=6.0, phase_length_s=40.0, run_elapsed_s=41.0, run_length_s=100.0,
    offered_per_s=25.0, delivered_per_s=24.2, latency_s_p95=4.6, errors_ratio=0.012, faults=("slow-llm: effective",),
    alerts=("LatencyHigh llm",), actions=("switch_provider generation: performed",),
)  # fmt: skip


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=160, highlight=False)


def written(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_plain_summary() -> None:
    out = console(terminal=False)
    terminal.show(sample.verdict(), sample.history(), sample.scenario(), RUN_DIR, out)
    assert written(out).splitlines() == [
        "FAIL: llm-brownout: fault.availability: 98.1% breaks >= 99%, n=1000",
        "checks: 1 failed, 1 inconclusive, 1 with a warning, 6 passed",
        "",
        "Service level objectives",
        "- FAIL fault.availability = 98.1% (limit >= 99%) n=1000: 98.1% breaks >= 99%, n=1000",
        "- INCONCLUSIVE recovery.latency_p99.9 (limit <= 2s) n=625: 625 samples are too few",
        "- WARN recovery.latency_p95 = 390ms (limit <= +25% of steady_state) n=625: close to the limit",
        "- PASS fault.latency_p95 = 4.9s (limit <= 7s) n=982: 4.9s keeps <= 7s",
        "",
        "Can the run be judged?",
        "- PASS validity.delivered_load = 3ms (limit <= 20ms) n=2500: dispatch lag p99 3ms, generator CPU 31%",
        "",
        "Was everything put back?",
        "- PASS safety.healed = gone: slow-llm is gone: 0 faults in force",
        "",
        "Operator and outcome",
        "- PASS expect.slow-llm.alert = 6s (limit <= 10s) n=1: LatencyHigh for llm 6s after onset",
        "- PASS expect.slow-llm.outcome = recovered (limit recovered): within limits again after switch_provider",
        "- PASS expect.false_alarms = 0 (limit <= 0) n=1: 0 of 1 episodes",
        "",
        "Faults",
        STORY,
        "",
        LOAD,
        "generator: processor at most 10% of a core in a second, steal at most 0%",
        "repeat: gauntlet run scenarios/llm-brownout.yaml --seed 7",
        f"record: {RUN_DIR}",
        f"report: {RUN_DIR}/report.html",
    ]


@pytest.mark.parametrize("on_terminal", [True, False])
def test_nothing_from_outside_steers_the_terminal(on_terminal: bool) -> None:
    evil = "\x1b[2J\x1b]0;owned\x07[red]bold[/red]\r\u202eé→"
    verdict = Verdict(Status.FAIL, 1, evil, (Result(evil, "objective", Status.FAIL, evil, evil, evil, "", 1),))
    out = console(on_terminal)
    terminal.show(verdict, sample.history(), sample.scenario(), RUN_DIR, out)
    text = written(out)
    assert "\x1b[2J" not in text
    assert "\x1b]0" not in text
    assert "\r" not in text
    assert "[red]bold[/red]" in text, "markup is shown, not obeyed"
    assert on_terminal or text.isascii()


def test_terminal_summary_puts_the_failure_first() -> None:
    out = console(terminal=True)
    terminal.show(sample.verdict(), sample.history(), sample.scenario(), RUN_DIR, out)
    text = written(out)
    assert text.index("FAIL") < text.index("fault.availability") < text.index("recovery.latency_p99.9") < text.index("safety.healed")


def test_stories_say_why_there_is_no_outcome() -> None:
    cut = sample.history(events=tuple(e for e in sample.events() if e.t_ns < sample.T0 + 36 * sample.S))
    (story,) = stories(Material(sample.verdict(), cut, sample.scenario()))
    assert (story.onset, story.alert, story.diagnosis, story.action) == ("not proved", "none", "none", "none")
    assert story.outcome.startswith("unknown (")


def test_live_line() -> None:
    assert live.line(STATE) == (
        "[  41.0s] fault | offered 25/s | delivered 24.2/s | p95 4.6s | errors 1.2% | about 59s left | faults: slow-llm: effective | "
        "alerts: LatencyHigh llm | actions: switch_provider generation: performed"
    )
    assert live.line(LiveState("a", "starting", note="the stack starts…")) == "[   0.0s] starting | the stack starts\\u2026"


def test_lines_on_change_and_on_heartbeat() -> None:
    lines = Lines(heartbeat_s=5.0)
    quiet = replace(STATE, alerts=(), actions=())
    fed = [
        replace(quiet, run_elapsed_s=0.0),
        replace(quiet, run_elapsed_s=1.0, offered_per_s=26.0),
        replace(quiet, run_elapsed_s=2.0, alerts=("LatencyHigh llm",)),
        replace(quiet, run_elapsed_s=6.9, alerts=("LatencyHigh llm",)),
        replace(quiet, run_elapsed_s=7.0, alerts=("LatencyHigh llm",)),
        replace(quiet, run_elapsed_s=7.5, phase="recovery", alerts=("LatencyHigh llm",)),
    ]
    assert [lines.feed(s) is not None for s in fed] == [True, False, True, False, True, True]


def test_view_without_a_terminal_prints_lines() -> None:
    out = console(terminal=False)
    with LiveView("llm-brownout", console=out) as view:
        view.update(STATE)
        view.update(STATE)
    assert written(out) == f"run: llm-brownout\n{live.line(STATE)}\n"


def test_quiet_view_prints_nothing() -> None:
    out = console(terminal=False)
    with LiveView("llm-brownout", quiet=True, console=out) as view:
        view.update(STATE)
    assert written(out) == ""


def test_view_on_a_terminal_shows_everything_and_leaves_it_clean() -> None:
    out = console(terminal=True)
    with LiveView("llm-brownout", console=out) as view:
        view.update(STATE)
        shown = written(out)
        view.stop()
        view.stop()
    for words in ("llm-brownout", "fault", "25/s", "24.2/s", "4.6s", "1.2%", "slow-llm: effective", "LatencyHigh llm", "switch_provider"):
        assert words in shown, words
    assert written(out).endswith("\x1b[?25h") or "\x1b[?25h" in written(out), "the cursor is back"


def test_the_live_view_gives_every_part_a_line_of_its_own() -> None:
    page = io.StringIO()
    Console(file=page, width=110, force_terminal=False, color_system=None).print(live.renderable(STATE))
    head, bar, *rest = (line.rstrip() for line in page.getvalue().splitlines())
    assert head == "llm-brownout  fault  6 of 40s  about 59s left"
    assert bar and set(bar) <= set("━╸╺")
    assert rest == [
        "offered 25/s   delivered 24.2/s   p95 4.6s   errors 1.2%",
        "faults  slow-llm: effective",
        "alerts  LatencyHigh llm",
        "actions switch_provider generation: performed",
    ]
