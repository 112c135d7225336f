"""Canary: the new version is given its share of the users step by step."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.deploy.command import OUTPUTS as OUTPUTS
from harness.pipeline.steps.deploy.command import carry_out_deploy
from harness.scenario.fields import Model


class Deploy(Model):
    """What is rolled out, and by what it is stopped: a deploy file (docs/deploy.md)."""

    file: Path = Field(description="a deploy file")


def carry_out(options: Deploy, context: Context) -> StepResult:
    """Roll it out."""
    return carry_out_deploy("canary", options.file, context)
