"""The game day at a terminal: keys of the master, and what is shown."""

from __future__ import annotations

import io
import os
import pty
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from harness.faults.permission import Granted, Refused
from harness.gameday.keyboard import HIDDEN, LEGEND, WAITING, Keyboard
from harness.gameday.terminal import TerminalView, lines
from harness.gameday.view import document
from harness.record.events import GAMEDAY
from harness.record.journal import read_journal
from harness.record.store import RunDirectory
from harness.report.state import LiveState
from tests.unit.gameday.day import TRUTH, Day

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    made = Day(tmp_path)
    made.desk.begun.set()
    yield made
    made.journal.close()


def at(day: Day) -> Keyboard:
    return Keyboard(day.desk, lambda: list(document(day.desk, "master", ())["faults"]), lambda: None)


def typed(keyboard: Keyboard, *keys: str) -> str:
    for key in keys:
        keyboard.feed(key)
    return keyboard.answer


def test_keys_decide_as_the_page_does(day: Day) -> None:
    keyboard = at(day)
    assert (keyboard.prompt, keyboard.chosen) == (LEGEND, "molasses")
    assert typed(keyboard, "a") == "done: approve molasses"
    assert day.desk.ask(day.use("molasses")) == Granted(day.use("molasses"))
    assert keyboard.chosen == "avalanche", "what is not decided comes first"
    assert typed(keyboard, "x", "too late\n") == "done: skip avalanche"
    assert day.desk.ask(day.use("avalanche")) == Refused("skipped by the master: too late")
    typed(keyboard, "n", "they look at the cache", "\r", "f", "an alert for it\n", "r")
    assert day.desk.revealed
    found = [{k: v for k, v in e.items() if k not in ("at_s", "by")} for e in document(day.desk, "master", ())["said"]]
    assert found[2:] == [
        {"do": "note", "text": "they look at the cache", "follow_up": False},
        {"do": "note", "text": "an alert for it", "follow_up": True},
        {"do": "reveal"},
    ]


def test_what_waits_is_what_keys_are_about_unless_another_is_chosen(day: Day) -> None:
    day.desk.ask(day.use("avalanche"))
    keyboard = at(day)
    assert keyboard.chosen == "avalanche"
    assert typed(keyboard, "1") == "" and keyboard.chosen == "molasses"
    assert typed(keyboard, "7") == "there are 2 faults"


def test_a_change_is_a_line_that_can_be_edited_and_refused(day: Day) -> None:
    keyboard = at(day)
    typed(keyboard, "c")
    assert keyboard.prompt.startswith('molasses: target and parameters> llm {"ttft": "4s"}_')
    assert typed(keyboard, "\x7f" * 4, '2s"}x', "\x7f", "\n") == "done: approve molasses"
    answer = day.desk.ask(day.use("molasses"))
    assert isinstance(answer, Granted) and answer.use.with_ == {"ttft": "2s"}
    for line, why in (("gateway {}", "lies outside of llm"), ("llm {", "is no JSON"), ("llm []", "valid dictionary"), ("llm {}", "ttft")):
        assert why in typed(keyboard, "1", "c", "\x15", f"{line}\n")
    assert len(day.told()) == 1, "what was refused is no decision"


def test_letters_of_a_line_are_no_commands_and_escape_leaves_it(day: Day) -> None:
    keyboard = at(day)
    typed(keyboard, "n", "reset as soon as possible", "\x1b[A", "\x1b")
    assert (keyboard.prompt, day.told(), day.stops) == (LEGEND, [], [])
    typed(keyboard, "n", "\n")
    assert day.told() == [], "an empty note is none"


def test_the_emergency_stop_works_in_any_case(day: Day) -> None:
    typed(at(day), "s")
    assert (day.told(), day.stops) == ([("truth", "master", "stop")], [True])
    day.desk.stopped = False
    day.desk.leave()  # no record is open, as while the stack starts
    assert "the run is over" in typed(at(day), "s")
    assert day.stops == [True, True]


def test_before_the_beginning_there_is_one_thing_to_do(tmp_path: Path) -> None:
    waiting = Day(tmp_path)
    keyboard = at(waiting)
    assert keyboard.prompt == WAITING
    typed(keyboard, "b")
    assert waiting.desk.begun.is_set() and keyboard.prompt == LEGEND
    waiting.journal.close()


def test_what_is_hidden_is_not_on_the_screen(day: Day) -> None:
    screen = io.StringIO()
    state = LiveState("quiet-thunder", "steady_state", run_elapsed_s=3.0, run_length_s=100.0, faults=("molasses: effective",))
    view = TerminalView("quiet-thunder", lambda role: document(day.desk, role, ()), hint="http://master", console=terminal(screen))
    keyboard = view.keyboard = Keyboard(day.desk, lambda: list(document(day.desk, "master", ())["faults"]), view.redraw)
    with view:
        view.show(state)
        shown = screen.getvalue()
        assert all(word in shown for word in ("molasses", "avalanche", "steady_state", "http://master"))
        keyboard.feed("h")
        screen.seek(0), screen.truncate()
        keyboard.feed("a")
        view.show(state)
        shown = screen.getvalue()
    assert [word for word in (*TRUTH, "http://master") if word in shown] == []
    assert HIDDEN.split("  ")[0] in shown
    assert day.told() == [], "no key decides what cannot be seen"


def terminal(screen: io.StringIO) -> Console:
    return Console(file=screen, force_terminal=True, width=200, color_system=None)


def test_where_there_is_no_terminal_each_thing_is_a_line_once(day: Day) -> None:
    day.desk.ask(day.use("molasses"))
    day.take("players", do="saw", text="slow")
    assert next(iter(lines(document(day.desk, "master", ())))) == "fault molasses: waits for you"
    printed = io.StringIO()
    with TerminalView("quiet-thunder", lambda role: document(day.desk, role, ()), console=Console(file=printed)) as view:
        view.show(LiveState("quiet-thunder", "fault"))
        view.show(LiveState("quiet-thunder", "fault"))
    assert printed.getvalue().count("fault molasses: waits for you") == 1
    assert "players: saw slow" in printed.getvalue()


AT_A_TERMINAL = """
import sys, time
from pathlib import Path
from harness.gameday.keyboard import Keyboard
from harness.gameday.terminal import TerminalView
from harness.gameday.view import document
from harness.lifecycle.keys import keys
from harness.report.state import LiveState
from tests.unit.gameday.day import Day

day = Day(Path(sys.argv[1]))
look = lambda role: document(day.desk, role, ())
view = TerminalView("quiet-thunder", look)
view.keyboard = Keyboard(day.desk, lambda: list(look("master")["faults"]), view.redraw)
with view, keys(view.keyboard.feed) as somebody_types:
    view.show(LiveState("quiet-thunder", "steady_state"))
    print("ready" if somebody_types else "nobody", flush=True)
    while not day.stops:
        time.sleep(0.01)
"""


STEPS = (
    (b"ready", "b"),
    (b"done: begin", "a"),
    (b"done: approve molasses", "x"),
    (b"reason to skip", "zu spät\n"),
    (b"done: skip avalanche", "s"),
)


def test_keys_come_from_a_real_terminal(tmp_path: Path) -> None:
    pid, end = pty.fork()
    if pid == 0:  # pragma: no cover  # another process
        os.chdir(ROOT)
        os.environ["TERM"] = "xterm"
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execv(sys.executable, [sys.executable, "-c", AT_A_TERMINAL, str(tmp_path)])
    said = b""
    try:
        for wanted, typed_then in STEPS:
            while wanted not in said:
                said += os.read(end, 4096)
            os.write(end, typed_then.encode())
        drain(end)
    finally:
        os.close(end)
        os.waitpid(pid, 0)
    told = [e.data for e in read_journal(RunDirectory(tmp_path).events) if e.kind == GAMEDAY]
    assert [(e["do"], e.get("fault"), e.get("reason")) for e in told] == [
        ("approve", "molasses", None),
        ("skip", "avalanche", "zu spät"),
        ("stop", None, ""),
    ]


def drain(end: int) -> None:
    """Read until the other side has closed its terminal."""
    try:
        while os.read(end, 4096):
            pass
    except OSError:
        return
