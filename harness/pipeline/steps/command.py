"""A program of yours: 0 is PASS, 1 is FAIL, 3 is INCONCLUSIVE, and anything else is FAIL with the last lines that it printed.

It is told where its evidence goes in `GAUNTLET_STEP_DIR`; what it leaves there is listed.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from harness.pipeline.programs import Ended, ProgramError
from harness.pipeline.programs import carry_out as carry_out_program
from harness.pipeline.step import Context, StepResult
from harness.scenario.fields import Model
from harness.score.check import Status

OUTPUTS: dict[str, str] = {"directory": "the folder of its evidence"}


class Command(Model):
    """A program and its arguments. No shell reads them."""

    argv: list[str] = Field(min_length=1, description="the program and its arguments, as a list: no shell reads them")
    cwd: Path = Field(default=Path(), description="where it works")
    environment: dict[str, str] = Field(default_factory=dict, description="further variables of its environment")


def carry_out(options: Command, context: Context) -> StepResult:
    """Run it."""
    environment = {"GAUNTLET_STEP_DIR": str(context.directory), **options.environment}
    try:
        ended = carry_out_program(options.argv, context, cwd=context.root / options.cwd, environment=environment)
    except ProgramError as error:
        return StepResult(Status.INCONCLUSIVE, f"it cannot be started: {error}")
    status, reason = _judged(ended)
    left = {path.name: path for path in sorted(context.directory.iterdir())}
    return StepResult(status, reason, evidence=left, outputs={"directory": str(context.directory)})


def _judged(ended: Ended) -> tuple[Status, str]:
    last = f": {ended.last}" if ended.last else ""
    if ended.stopped:
        return Status.INCONCLUSIVE, "it was stopped"
    match ended.code:
        case 0:
            return Status.PASS, next((line.strip() for line in reversed(ended.lines) if line.strip()), ended.how)[:600]
        case 3:
            return Status.INCONCLUSIVE, f"{ended.how}{last}"
        case _:
            return Status.FAIL, f"{ended.how}{last}"
