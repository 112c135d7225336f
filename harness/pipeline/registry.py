"""The kinds of step. A new one is a module under harness/pipeline/steps, and one line here.

Its module's first line says what it does; its function `carry_out(options: Model, context: Context) -> StepResult` does it, and the
annotation of its first parameter is what may be written under `with:`. `OUTPUTS`, where the module has it, names what it hands on.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_type_hints

from pydantic import BaseModel

from harness.pipeline.step import Context, StepResult

KINDS: dict[str, str] = {
    "command": "harness.pipeline.steps.command",
    "scenario": "harness.pipeline.steps.scenario",
    "build.wheel": "harness.pipeline.steps.build.wheel",
    "build.images": "harness.pipeline.steps.build.images",
    "build.sbom": "harness.pipeline.steps.build.sbom",
    "build.provenance": "harness.pipeline.steps.build.provenance",
    "build.push": "harness.pipeline.steps.build.push",
    "test.pytest": "harness.pipeline.steps.test.pytest",
    "test.benchmark": "harness.pipeline.steps.test.benchmark",
    "security.code": "harness.pipeline.steps.security.code",
    "security.dependencies": "harness.pipeline.steps.security.dependencies",
    "security.image": "harness.pipeline.steps.security.image",
    "security.secrets": "harness.pipeline.steps.security.secrets",
    "security.abuse": "harness.pipeline.steps.security.abuse",
    "deploy.blue_green": "harness.pipeline.steps.deploy.blue_green",
    "deploy.canary": "harness.pipeline.steps.deploy.canary",
    "deploy.rolling": "harness.pipeline.steps.deploy.rolling",
    "deploy.environment": "harness.pipeline.steps.deploy.environment",
    "deploy.drill": "harness.pipeline.steps.deploy.drill",
    "monitor.alerts": "harness.pipeline.steps.monitor.alerts",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: what it wants to know, and who does it. `outputs` is None where it does not say what it hands on."""

    name: str
    summary: str
    options: type[BaseModel]
    carry_out: Callable[[BaseModel, Context], StepResult]
    outputs: Mapping[str, str] | None


def kind(name: str) -> Kind:
    """Raises KeyError for one that is not registered."""
    return load(name, KINDS[name])


def load(name: str, module_name: str) -> Kind:
    """The kind that a module holds."""
    module = importlib.import_module(module_name)
    carry_out = module.carry_out
    first = next(iter(inspect.signature(carry_out).parameters))
    summary = (module.__doc__ or "").strip().partition("\n")[0]
    return Kind(name, summary, get_type_hints(carry_out)[first], carry_out, getattr(module, "OUTPUTS", None))
