"""Carries out steps as child processes, from a definition with references to something that a kind can be given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.pipeline import fingerprint
from harness.pipeline.definition import Step
from harness.pipeline.directory import PipelineDirectory
from harness.pipeline.fingerprint import Tree
from harness.pipeline.processes import StepProcess, Task
from harness.pipeline.references import references, resolved
from harness.pipeline.registry import KINDS, kind
from harness.pipeline.secrets import Masks


@dataclass(frozen=True, slots=True)
class ProcessWorkshop:
    """`root` is what paths are relative to; `environment` is that of the program."""

    directory: PipelineDirectory
    root: Path
    tree: Tree
    environment: Mapping[str, str]
    grace_s: float

    def fingerprint(self, step: Step, outputs: Mapping[str, Mapping[str, str]]) -> str | None:
        """Raises UnresolvedError, or ValueError for what the kind cannot be given, and where the checkout has moved meanwhile."""
        if (moved := fingerprint.moved(self.root, self.tree)) is not None:
            raise ValueError(moved)
        secrets = self._secrets(step)
        options = _validated(step, resolved(step.with_, outputs, self.environment), Masks(secrets.values()))
        shown = resolved(step.with_, outputs, {name: f"${{env.{name}}}" for name in self.environment})
        return fingerprint.fingerprint(step, shown, options, self.root, self.tree, secrets)

    def start(self, stage: str, step: Step, outputs: Mapping[str, Mapping[str, str]], say: Callable[[str], None]) -> StepProcess:
        """Begin."""
        task = Task(
            kind=step.uses,
            module=KINDS[step.uses],
            given=resolved(step.with_, outputs, self.environment),
            directory=self.directory.evidence(stage, step.id),
            answer=self.directory.answer(stage, step.id),
            log=self.directory.log(stage, step.id),
            root=self.root,
            outputs=outputs,
            secrets=tuple(self._secrets(step).values()),
            say=say,
        )
        return StepProcess(task, self.grace_s)

    def _secrets(self, step: Step) -> dict[str, str]:
        names = {reference.name for _, reference in references(step.with_) if not reference.step}
        return {name: self.environment[name] for name in names if name in self.environment}


def _validated(step: Step, given: Mapping[str, Any], masks: Masks) -> BaseModel:
    try:
        return kind(step.uses).options.model_validate(given)
    except ValidationError as error:
        told = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False, include_input=False)]
        raise ValueError(masks.text(f"with: {'; '.join(told)}")) from None
