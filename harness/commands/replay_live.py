"""`gauntlet mutate --live`: scenarios run again, each with an operator that lacks one strategy."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.commands.console import emit, say
from harness.gate import Verdict
from harness.judging import judge_run
from harness.lifecycle.batch import Batch
from harness.lifecycle.exit_codes import FAILED, INCONCLUSIVE, OK
from harness.replay.live import Tried, carry_out, plan
from harness.report.progress import ProgressView


def mutate_live(runs: tuple[Path, ...], min_score: float, out: Path, as_json: bool) -> int:
    """Returns the exit code: 3 where nothing could be tried, or some run says nothing either way."""
    trials, unreached = plan(runs)
    minutes = sum(trial.lasts_s for trial in trials) / 60
    say(f"{len(trials)} live runs, about {minutes:.0f} minutes: " + ", ".join(f"{t.mutant.part} in {t.name}" for t in trials))
    tried = []
    with ProgressView(quiet=as_json) as view:
        view.begin(f"{len(trials)} live runs", round(sum(trial.lasts_s for trial in trials)))
        for trial in trials:
            tried.append(carry_out(trial, out, _play))
            view.advance(round(trial.lasts_s))
            view.say(_line(tried[-1]))
    told = [one for one in tried if not one.untold]
    score = sum(bool(one.noticed_by) for one in told) / len(told) if told else None
    if as_json:
        emit({"score": score, "trials": [one.to_json() for one in tried], "unreached": [m.name for m in unreached]})
    else:
        click.echo("no score: no run told anything" if score is None else f"score {score:.3f} of {len(told)} live runs")
        for line in (*map(_line, tried), *(f"- not reached {m.name}: no operator of these runs used it" for m in unreached)):
            click.echo(line)
    if score is not None and score < min_score:
        return FAILED
    return OK if told and len(told) == len(tried) else INCONCLUSIVE


def _play(file: Path, out: Path) -> Verdict | None:
    """None where there is no record that could be judged."""
    batch = Batch(out=out, stack=None, seed=None, repeat=1, strict=False, quiet=True, argv=tuple(sys.argv))
    (outcome,) = batch.carry_out((file,), say)
    run_dir = outcome.document.get("run_dir")
    return judge_run(Path(run_dir)).verdict if run_dir else None


def _line(one: Tried) -> str:
    if one.untold:
        return f"- untold {one.trial.mutant.name}: {one.trial.name}: {one.untold}"
    if one.noticed_by:
        return f"- noticed {one.trial.mutant.name}: {one.trial.name} fails {', '.join(one.noticed_by)}"
    return f"- SURVIVED {one.trial.mutant.name}: {one.trial.name} passes without it"
