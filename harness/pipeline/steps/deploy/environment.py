"""An environment: its configuration is checked, and a version with it rolled out by the strategy that the environment names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from harness.environments.checking import load
from harness.environments.deploying import deploy_of
from harness.environments.showing import shown
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.deploy import command
from harness.scenario.fields import Model
from harness.scenario.problem import ScenarioError

OUTPUTS = {**command.OUTPUTS, "environment": "its name", "config_id": "of the configuration that was to be deployed"}


class Deploy(Model):
    """Which environment (docs/environments.md)."""

    environment: str = Field(description="its name: that of its file")
    folder: Path = Field(default=Path("environments"), description="where the layers are")


def carry_out(options: Deploy, context: Context) -> StepResult:
    """Refuse what cannot work, with its place; then roll it out."""
    folder = context.root / options.folder
    try:
        loaded = load(folder, options.environment, context.environment)
        deploy_of(loaded, folder, context.environment)
    except ScenarioError as error:
        return command.refused(error, "deploy.configuration", context)
    configuration = context.directory / "configuration.json"
    configuration.write_text(json.dumps(shown(loaded), indent=1, sort_keys=True), encoding="utf-8")
    result = command.said_by(["config", "deploy", options.environment, "--dir", str(options.folder)], context)
    outputs = {**result.outputs, "environment": options.environment, "config_id": loaded.environment.config_id}
    return replace(result, evidence={**result.evidence, "configuration": configuration}, outputs=outputs)
