"""Mutants that only a live run can tell of: what a strategy does once it acts is in no record of a run in which it acted.

One recorded run each serves as the yardstick: the scenario is run once more, with the operator without that strategy, and a check that
passed in the record and fails now has noticed.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.gate import Verdict
from harness.judging import judge_run
from harness.ops.__main__ import watch
from harness.ops.assembly import assemble
from harness.ops.operator import Alerting, Operator, Voice
from harness.ops.targets import Targets, TargetsError, load_targets
from harness.replay.hearing import Thoughts, listen
from harness.replay.mutants import RULE, STRATEGY, Mutant, mutants
from harness.score.check import Status

AROUND_S = 30.0
"""What a run takes beside its phases: to start the stack, to heal, to stop, to judge."""

Play = Callable[[Path, Path], Verdict | None]
"""Runs a scenario file, with its record below a directory; None where it did not start."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One live run to come: a mutant, and the recorded run of a scenario in which its strategy was used."""

    mutant: Mutant
    run: Path
    text: str
    name: str
    passing: frozenset[str]
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Tried:
    """`noticed_by`: checks that passed and fail now. `untold`: why the run says nothing either way; empty: it does."""

    trial: Trial
    noticed_by: tuple[str, ...]
    untold: str = ""

    def to_json(self) -> dict[str, Any]:
        fate = "untold" if self.untold else "killed" if self.noticed_by else "survived"
        return {
            "mutant": self.trial.mutant.name,
            "scenario": self.trial.name,
            "fate": fate,
            "checks": list(self.noticed_by),
            "why": self.untold,
        }


def plan(runs: Sequence[Path], chosen: Iterable[Mutant] | None = None) -> tuple[tuple[Trial, ...], tuple[Mutant, ...]]:
    """The trials, one for each strategy that an operator of these runs used, and the mutants that none of them used.

    A run serves where its own operator was the embedded one, and where some check passed. Raises RecordError, ScenarioError.
    """
    judged = [judge_run(run) for run in runs]
    trials, unreached = [], []
    for mutant in chosen if chosen is not None else [m for m in mutants() if m.kind == STRATEGY]:
        for one in judged:
            passing = frozenset(r.name for r in one.verdict.results if r.status is Status.PASS)
            if passing and one.scenario.operator.command is None and any(a.verb == mutant.part for a in one.history.actions):
                text = one.directory.scenario_file.read_text(encoding="utf-8")
                lasts_s = sum(one.scenario.phases.values()) + AROUND_S
                trials.append(Trial(mutant, one.directory.path, text, one.scenario.name, passing, lasts_s))
                break
        else:
            unreached.append(mutant)
    return tuple(trials), tuple(unreached)


def carry_out(trial: Trial, out: Path, play: Play) -> Tried:
    """Run the scenario with the mutant on call."""
    file = out / f"{trial.name}-{trial.mutant.part}.yaml"
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(with_mutant(trial.text, trial.mutant), encoding="utf-8")
    verdict = play(file, out)
    if verdict is None:
        return Tried(trial, (), "the run did not start")
    unfit = [r for r in verdict.results if r.name.startswith("validity.") and r.status is not Status.PASS]
    if unfit:
        return Tried(trial, (), f"{unfit[0].name}: {unfit[0].reason}")
    left = {r.name: r.status for r in verdict.results}
    return Tried(trial, tuple(sorted(name for name in trial.passing if left.get(name) is Status.FAIL)))


def with_mutant(text: str, mutant: Mutant) -> str:
    """The scenario, with that operator on call."""
    document = yaml.safe_load(text)
    document["operator"] = {"command": [sys.executable, "-m", "harness.replay.live", mutant.kind, mutant.part, "{targets}"]}
    return yaml.safe_dump(document, sort_keys=False)


def assembled(mutant: Mutant, targets: Targets, voice: Voice, alerting: Alerting | None) -> Operator:
    """The operator without one rule or strategy."""
    operator = assemble(targets, mutant.voice(voice), alerting)
    listen(operator, Thoughts(kept=1), mutant.silent)
    return operator


def main(argv: list[str]) -> int:
    """`python -m harness.replay.live rule|strategy PART TARGETS.yaml`: watch without that part until SIGTERM or SIGINT."""
    try:
        kind, part, file = argv[1:]
        mutant = next(m for m in mutants() if (m.kind, m.part) == (kind, part) and kind in (RULE, STRATEGY))
    except (ValueError, StopIteration):
        sys.stderr.write("usage: python -m harness.replay.live rule|strategy PART TARGETS.yaml\n")
        return 2
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        watch(load_targets(Path(file)), ended, lambda targets, voice, alerting: assembled(mutant, targets, voice, alerting))
    except TargetsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
