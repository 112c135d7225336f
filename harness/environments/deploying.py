"""From an environment to the deploy that brings a version there: its strategy, its stack and settings, and the values of its secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.deploy.loading import LoadedPlan, load_plan, plan_of_text
from harness.deploy.plan import DeployPlan, Strategy
from harness.environments.checking import LoadedEnvironment
from harness.environments.layers import LayersError
from harness.scenario.document import parse


@dataclass(frozen=True, slots=True)
class EnvironmentDeploy:
    """What is carried out. `secrets` are variables by service; they are written down nowhere."""

    loaded: LoadedPlan
    strategy: Strategy
    origin: Mapping[str, str]  # for the record: which environment, with which id
    secrets: Mapping[str, Mapping[str, str]] = field(repr=False)

    @property
    def base(self) -> DeployPlan:
        """The plan of a site that stands with the base version and this very configuration, before anything is deployed."""
        plan = self.loaded.plan
        return plan.model_copy(update={"base": configured(plan.base, self.origin["config_id"])})


def deploy_of(loaded: LoadedEnvironment, folder: Path, variables: Mapping[str, str] | None = None) -> EnvironmentDeploy:
    """Raises LayersError where the environment names no deploy file, DeployError where that cannot be used."""
    environment = loaded.environment
    if environment.deploy is None:
        message = f"{loaded.name} does not say how a version gets there"
        raise LayersError([loaded.layered.problem((), message, "add `deploy: deploy.yaml`; see docs/deploy.md")])
    path = folder / environment.deploy
    own = load_plan(path, environment.strategy)  # what is wrong with the file is told at its place there
    data: dict[str, Any]
    data, _ = parse(own.text, own.path)
    stack = environment.stack.model_dump(mode="json", exclude_defaults=True)
    data["name"] = site_name(data["name"], loaded.name)
    data["stack"] = {**data.get("stack", {}), **stack}
    data["change"]["version"] = configured(data["change"]["version"], environment.config_id)
    changed = data["change"].setdefault("environment", {})
    for service, settings in environment.settings.items():
        changed[service] = {**settings, **changed.get(service, {})}
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    origin = {"name": loaded.name, "config_id": environment.config_id}
    secrets = _read(environment.secrets, folder, os.environ if variables is None else variables)
    return EnvironmentDeploy(plan_of_text(text, str(path), environment.strategy), environment.strategy, origin, secrets)


def site_name(plan: str, environment: str) -> str:
    """Each environment has a site of its own, although one deploy file may serve them all."""
    return f"{plan}-{re.sub('[^a-z0-9]+', '-', environment.lower()).strip('-')}"


def configured(version: str, config_id: str) -> str:
    """A version with the configuration that it runs with, as build metadata (Semantic Versioning 2.0.0, 10).

    Services say it with every answer, so what is proved of a version is proved of its configuration, too.
    """
    return f"{version}{'.' if '+' in version else '+'}{config_id}"


def _read(references: Mapping[str, Mapping[str, str]], folder: Path, variables: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {service: {name: _value(one, folder, variables) for name, one in own.items()} for service, own in references.items()}


def _value(reference: str, folder: Path, variables: Mapping[str, str]) -> str:
    scheme, _, rest = reference.partition(":")
    return variables[rest] if scheme == "env" else (folder / rest).read_text(encoding="utf-8").strip()
