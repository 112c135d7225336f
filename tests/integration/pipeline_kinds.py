"""Kinds of step that go wrong in ways that no program of a user could make them."""

from __future__ import annotations

import os
import signal
import subprocess

from harness.pipeline.step import Context, StepResult
from harness.scenario.fields import Model
from harness.score.check import Status


class Wrong(Model):
    """How."""

    how: str


def carry_out(options: Wrong, context: Context) -> StepResult:
    """Go wrong."""
    match options.how:
        case "raises":
            raise RuntimeError("a defect of the kind itself")
        case "dies":
            print("the last words", flush=True)
            subprocess.Popen(["sleep", "600"], start_new_session=True)
            os.kill(os.getpid(), signal.SIGKILL)
        case "claims":
            return StepResult(Status.PASS, "all well", evidence={"proof": context.directory / "none"})
        case "lacks":
            raise ModuleNotFoundError("No module named 'nowhere'", name="nowhere")
    return StepResult(Status.PASS, "fine")
