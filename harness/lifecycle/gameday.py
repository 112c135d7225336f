"""`gauntlet gameday`: one run that people watch, and decide about. What they do is in its record, so that it can be judged again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import run
from harness.gameday.asks import Role
from harness.gameday.desk import Desk, Ended
from harness.gameday.keyboard import Keyboard
from harness.gameday.server import Pages
from harness.gameday.terminal import TerminalView
from harness.gameday.view import document
from harness.judging import judge_run, write_reports
from harness.lifecycle.batch import NOT_STARTED_BY, RunOutcome
from harness.lifecycle.checking import check_loaded
from harness.lifecycle.exit_codes import INTERRUPTED, NOT_STARTED
from harness.lifecycle.keys import keys
from harness.record.clock import Clock, SystemClock
from harness.report import terminal, verdict_json
from harness.report.state import LiveState
from harness.scenario.catalog import StackInfo
from harness.scenario.loader import Loaded
from harness.scenario.model import FaultUse
from harness.scenario.targets import parse_target
from harness.stack.catalog import info_for

_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class GameDay:
    """What the command line asked for. `wait`: the run begins when the master says so."""

    loaded: Loaded
    out: Path
    seed: int
    listen: tuple[str, int]
    wait: bool
    quiet: bool
    strict: bool
    argv: tuple[str, ...]

    def carry_out(self, say: Callable[[str], None], clock: Clock | None = None) -> RunOutcome:
        """Raises GameDayError where the page cannot be served, KeyboardInterrupt while nothing has begun."""
        clock = clock or SystemClock()
        scenario, info = self.loaded.scenario, info_for(self.loaded.scenario.stack)
        desk = Desk(scenario, clock, lambda use: refusal(self.loaded, info, use), lambda: os.kill(os.getpid(), signal.SIGINT))
        pages = Pages(desk, places(info), clock, *self.listen)
        pages.start()
        try:
            say(f"master:  {pages.url('master')}\nplayers: {pages.url('players')}")
            if not self.wait:
                desk.begun.set()
            return self._run(desk, pages, clock, say)
        finally:
            pages.stop()

    def _run(self, desk: Desk, pages: Pages, clock: Clock, say: Callable[[str], None]) -> RunOutcome:
        hint = f"master: {pages.url('master')}\nplayers: {pages.url('players')}"

        def look(role: Role) -> Mapping[str, Any]:
            return document(desk, role, ())

        view = TerminalView(self.loaded.scenario.name, look, quiet=self.quiet, hint=hint)
        keyboard = Keyboard(desk, lambda: list(look("master")["faults"]), view.redraw)
        with view, keys(keyboard.feed) as somebody_types:
            view.keyboard = keyboard if somebody_types else None
            view.redraw()
            while not desk.begun.is_set():
                clock.sleep(_POLL_S)

            def observe(state: LiveState) -> None:
                desk.observe(state)
                view.show(state)

            options = run.Options(out=self.out, seed=self.seed, argv=self.argv, observe=observe, attend=desk.attend)
            try:
                finished = run.execute(self.loaded, options)
            except NOT_STARTED_BY as error:
                view.stop()
                desk.end(Ended("none", f"did not start: {error}", ""))
                say(f"{self.loaded.path}: did not start: {error}")
                return RunOutcome(
                    NOT_STARTED, {"exit_code": NOT_STARTED, "verdict": None, "reason": str(error), "scenario": self.loaded.path}
                )
        judged = judge_run(finished.directory.path, strict=self.strict)
        write_reports(judged)
        desk.end(Ended(judged.verdict.status.value, judged.verdict.reason, str(judged.directory.path / "report.html")))
        if not self.quiet:
            terminal.show(judged.verdict, judged.history, judged.scenario, judged.directory.path)
        code = INTERRUPTED if finished.interrupted else judged.verdict.exit_code
        found = verdict_json.document(judged.verdict, judged.history, judged.scenario)
        return RunOutcome(code, found | {"run_dir": str(judged.directory.path), "exit_code": code})


def places(info: StackInfo) -> tuple[str, ...]:
    """What a diagnosis may name."""
    return (*info.services, *(f"{caller}->{callee}" for caller, callee in sorted(info.edges)))


def refusal(loaded: Loaded, info: StackInfo, changed: FaultUse) -> str | None:
    """Why a fault that a person changed may not be injected: outside of where it was declared to be, or what `check` says of it."""
    declared = next(use for use in loaded.scenario.faults if use.id == changed.id)
    if changed.target != declared.target:
        try:
            was, now = parse_target(declared.target, info), parse_target(changed.target, info)
        except ValueError as error:
            return f"target: {error}"
        if was.shape != "service" or now.shape != "instance" or now.service != was.service:
            return f"target: {changed.target} lies outside of {declared.target}, where it was declared; narrow it to an instance"
    before = {problem.message for problem in check_loaded(loaded)}
    faults = [changed if use.id == changed.id else use for use in loaded.scenario.faults]
    problems = check_loaded(replace(loaded, scenario=loaded.scenario.model_copy(update={"faults": faults})))
    found = next((p for p in problems if p.severity == "error" and p.message not in before), None)
    return None if found is None else f"{found.message}{f'; {found.hint}' if found.hint else ''}"
