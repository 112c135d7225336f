"""`gauntlet run`: check every file first, then run and judge one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import run
from harness.faults.base import FaultError
from harness.faults.lease_files import LeaseError
from harness.inbox.server import InboxError
from harness.judging import Judged, judge_run, write_reports
from harness.lifecycle.checking import load_all
from harness.lifecycle.exit_codes import INTERRUPTED, NOT_STARTED
from harness.lifecycle.keys import STOP_KEY, stop_key
from harness.lifecycle.oncall import OnCallError
from harness.lifecycle.settled import Settled
from harness.load.driver import LoadError
from harness.report import terminal, verdict_json
from harness.report.live import LiveView
from harness.report.progress import ProgressView
from harness.scenario.loader import Loaded
from harness.scenario.model import Driver, Scenario
from harness.stack.base import StackError

NOT_STARTED_BY = (StackError, LoadError, LeaseError, InboxError, OnCallError, FaultError)  # FaultError: not one that the stack can take


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """One run: its exit code, its verdict as a document, and what was judged; None where it did not start."""

    exit_code: int
    document: dict[str, Any]
    judged: Judged | None = None


@dataclass(frozen=True, slots=True)
class Against:
    """How runs are compared with a baseline: which one is settled before anything starts, and counts at the end."""

    settle: Callable[[Scenario], Settled]  # raises RecordError for one that is unfit
    compare: Callable[[Judged, Settled], Judged]  # adds the comparison to the verdict


@dataclass(frozen=True, slots=True)
class Batch:
    """What the command line asked for."""

    out: Path
    stack: Driver | None
    seed: int | None
    repeat: int
    strict: bool
    quiet: bool
    argv: tuple[str, ...]
    against: Against | None = None

    def carry_out(self, files: Sequence[Path], say: Callable[[str], None]) -> list[RunOutcome]:
        """Run every file; ends after an interrupted run.

        Raises before any has started: one ScenarioError for all invalid files, or RecordError for a baseline that is unfit.
        """
        loaded, warnings = load_all(files, self.stack)
        for warning in warnings:
            say(str(warning))
        settled = [self._settle(one, say) for one in loaded]
        outcomes: list[RunOutcome] = []
        for scenario, baseline in zip(loaded, settled, strict=True):
            for n in range(self.repeat):
                outcomes.append(self._one(scenario, baseline, n, say))
                if outcomes[-1].exit_code == INTERRUPTED:
                    return outcomes
        return outcomes

    def _settle(self, loaded: Loaded, say: Callable[[str], None]) -> Settled | None:
        """What runs of the file are compared with. That there is nothing is told now, and not only when they are over."""
        settled = self.against.settle(loaded.scenario) if self.against is not None else None
        if settled is not None and settled.current is None:
            say(f"{loaded.path}: INCONCLUSIVE at best: {settled.reason}")
        if settled is None and loaded.scenario.baseline_phases:
            say(f"{loaded.path}: what is relative to a baseline run cannot be decided without one; name it with --baseline")
        return settled

    def _one(self, loaded: Loaded, settled: Settled | None, n: int, say: Callable[[str], None]) -> RunOutcome:
        baseline = settled.document if settled is not None else None
        seed = (self.seed if self.seed is not None else loaded.scenario.seed) + n
        with LiveView(loaded.scenario.name, quiet=self.quiet, hint=f"{STOP_KEY}: heal and stop") as view, stop_key():
            options = run.Options(out=self.out, seed=seed, argv=self.argv, baseline=baseline, observe=view.update)
            try:
                finished = run.execute(loaded, options)
            except NOT_STARTED_BY as error:
                view.stop()
                say(f"{loaded.path}: did not start: {error}")
                return RunOutcome(NOT_STARTED, {"exit_code": NOT_STARTED, "verdict": None, "reason": str(error), "scenario": loaded.path})
        with ProgressView(quiet=self.quiet) as told:
            judged = judge_run(finished.directory.path, strict=self.strict, progress=told.progress)
            if self.against is not None and settled is not None:
                judged = self.against.compare(judged, settled)
            write_reports(judged, told.progress)
        if not self.quiet:
            terminal.show(judged.verdict, judged.history, judged.scenario, judged.directory.path)
        code = INTERRUPTED if finished.interrupted else judged.verdict.exit_code
        document = verdict_json.document(judged.verdict, judged.history, judged.scenario)
        return RunOutcome(code, document | {"run_dir": str(judged.directory.path), "exit_code": code}, judged)
