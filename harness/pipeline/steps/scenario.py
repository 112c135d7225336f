"""Scenarios, as `gauntlet run` carries them out; theirs is the verdict."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from harness.lifecycle.exit_codes import FAILED, INCONCLUSIVE, INTERRUPTED, NOT_STARTED, OK, USAGE
from harness.pipeline.answers import said_in
from harness.pipeline.programs import Ended, ProgramError
from harness.pipeline.programs import carry_out as carry_out_program
from harness.pipeline.step import Context, StepResult
from harness.scenario.fields import Model
from harness.scenario.model import Driver
from harness.score.check import Status, merge

OUTPUTS = {"run_dirs": "the run directories, with a comma between two", "run_dir": "the first of them"}
_TROUBLE = {USAGE: "the file cannot be used", NOT_STARTED: "the stack did not start", INTERRUPTED: "the run was interrupted"}


class Scenario(Model):
    """Files, and the options of `gauntlet run`."""

    files: list[Path] = Field(min_length=1, description="scenario files, one after the other")
    stack: Driver | None = Field(default=None, description="driver of the reference stack, not the scenario's own")
    seed: int | None = Field(default=None, ge=0, description="instead of the scenario's own")
    repeat: int = Field(default=1, ge=1, le=100, description="each file this many times, with seeds counting up")
    baseline: Path | None = Field(default=None, description="a run that each is compared with as well; `stored`: the one that was set")


def carry_out(options: Scenario, context: Context) -> StepResult:
    """Run them."""
    answer = context.directory / "verdict.json"
    try:
        ended = carry_out_program(_argv(options, context), context, stdout=answer)
    except ProgramError as error:
        return StepResult(Status.INCONCLUSIVE, f"it cannot be started: {error}")
    document = said_in(answer)
    runs = document.get("runs", [document]) if document else []
    status, reason = _judged(ended, runs, wanted=len(options.files) * options.repeat)
    places = [str(run["run_dir"]) for run in runs if run.get("run_dir")]
    outputs = {"run_dirs": ",".join(places), "run_dir": places[0]} if places else {}
    reports = {f"{Path(place).parent.name}{f'-{n}' if n else ''}": Path(place) / "report.html" for n, place in enumerate(places)}
    return StepResult(status, reason, evidence={"verdict": answer, **reports}, outputs=outputs)


def _argv(options: Scenario, context: Context) -> list[str]:
    argv = [sys.executable, "-P", "-m", "harness.cli", "run", *map(str, options.files), "--json", "--out", str(context.directory / "runs")]
    for name in ("stack", "seed", "baseline"):
        if (value := getattr(options, name)) is not None:
            argv += [f"--{name}", str(value)]
    return [*argv, "--repeat", str(options.repeat)] if options.repeat > 1 else argv


def _judged(ended: Ended, runs: Sequence[dict[str, Any]], wanted: int) -> tuple[Status, str]:
    """The verdict of the worst; a run without one proves nothing."""
    if ended.stopped:
        return Status.INCONCLUSIVE, "it was stopped; what it had broken is healed"
    if ended.code not in (OK, FAILED, INCONCLUSIVE):
        told = next((str(run["reason"]) for run in runs if run.get("reason") and run.get("exit_code") == ended.code), None)
        told = told or next((str(run["error"]) for run in runs if run.get("error")), ended.last)
        return Status.INCONCLUSIVE, f"{_TROUBLE.get(ended.code, f'gauntlet run ended with {ended.how}')}: {told}"
    try:
        statuses = [Status(str(run["verdict"])) for run in runs]
    except (KeyError, ValueError):
        return Status.INCONCLUSIVE, f"gauntlet run gave no verdict ({ended.how})"
    if len(statuses) != wanted:
        return Status.INCONCLUSIVE, f"{len(statuses)} verdicts of {wanted} runs"
    status = merge([*statuses, *([Status.FAIL] if ended.code == FAILED else [Status.INCONCLUSIVE] if ended.code == INCONCLUSIVE else [])])
    worst = next((run for run, one in zip(runs, statuses, strict=True) if one is status), runs[0])
    return status, f"{worst.get('scenario', 'scenario')}: {worst.get('reason', '')}" if status is not Status.PASS else f"{wanted} runs pass"
