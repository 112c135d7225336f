"""A pipeline file to a validated `Pipeline`, or to all that is wrong with it, with file, line and column: never a traceback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.pipeline.definition import Pipeline, Step
from harness.pipeline.references import INSTEAD, references
from harness.pipeline.registry import KINDS, kind
from harness.scenario.document import Kind, parse
from harness.scenario.explain import problems_of
from harness.scenario.loader import read_text
from harness.scenario.problem import KeyPath, Positions, Problem, ScenarioError, did_you_mean

PIPELINE = Kind("a pipeline", "write `name:` and `stages:`; see docs/pipeline.md", "begin with `name: my-pipeline`")


@dataclass(frozen=True, slots=True)
class LoadedPipeline:
    """A pipeline, the text it was read from, and where its parts stand."""

    pipeline: Pipeline
    text: str
    path: str
    positions: Positions

    def unset(self, environment: Mapping[str, str], stages: set[str]) -> list[Problem]:
        """Variables that steps of these stages refer to, and that are not set."""
        found = []
        for stage, n, step in self.pipeline.steps():
            for where, reference in references(step.with_) if stage in stages else ():
                if not reference.step and reference.name not in environment:
                    at = self.positions.value(("stages", stage, "steps", n, "with", *where))
                    message = f"the variable {reference.name} is not set"
                    found.append(Problem(self.path, at.line, at.column, message, "set it before the start"))
        return found


def load_pipeline(path: Path) -> LoadedPipeline:
    """Read one file (UTF-8 YAML, at most 1 MiB). Raises ScenarioError, which holds every problem."""
    return load_text(read_text(path, PIPELINE), str(path))


def load_text(text: str, path: str = "<text>") -> LoadedPipeline:
    """The same from text; `path` is what problems call it. Raises ScenarioError."""
    data, positions = parse(text, path, PIPELINE)
    found = _of_kinds(data, positions, path)
    try:
        pipeline = Pipeline.model_validate(data)
    except ValidationError as error:
        found += problems_of(error, Pipeline, data, positions, path)
    else:
        for where, message, hint in _Check(pipeline).all():
            at = positions.value(where)
            found.append(Problem(path, at.line, at.column, message, hint))
    if found:
        raise ScenarioError(sorted(set(found), key=lambda p: (p.line, p.column, p.message)))
    return LoadedPipeline(pipeline, text, path, positions)


def _of_kinds(data: Mapping[str, Any], positions: Positions, path: str) -> list[Problem]:
    """What is wrong under `uses:` and `with:`, also in a file in which other things are wrong."""
    found: list[Problem] = []
    for where, step in _raw_steps(data):
        uses, given = step.get("uses"), step.get("with", {})
        if not isinstance(uses, str) or not isinstance(given, dict):
            continue  # the model says so
        if uses not in KINDS:
            at = positions.value((*where, "uses"))
            found.append(Problem(path, at.line, at.column, f"there is no kind of step {uses!r}", did_you_mean(uses, KINDS)))
            continue
        found += _of_options(uses, given, positions, path, (*where, "with") if "with" in step else where)
    return found


def _of_options(uses: str, given: Mapping[str, Any], positions: Positions, path: str, root: KeyPath) -> list[Problem]:
    options = kind(uses).options
    try:
        options.model_validate(given)
    except ValidationError as error:
        told = problems_of(error, options, given, positions, path, root)
        later = {positions.value(root + where) for where, _ in references(given)}  # judged when they are filled in
        return [p for p in told if all((p.line, p.column) != (at.line, at.column) for at in later)]
    return []


def _raw_steps(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    stages = data.get("stages")
    for name, stage in stages.items() if isinstance(stages, dict) else ():
        steps = stage.get("steps") if isinstance(stage, dict) else None
        for n, step in enumerate(steps) if isinstance(steps, list) else ():
            if isinstance(step, dict):
                yield ("stages", name, "steps", n), step


class _Check:
    """What no single field shows: (where, what, what to write instead)."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._place = {step.id: (stage, n) for stage, n, step in pipeline.steps()}

    def all(self) -> Iterator[tuple[KeyPath, str, str]]:
        for name, stage in self._pipeline.stages.items():
            for n, needed in enumerate(stage.needs):
                if needed not in self._pipeline.stages:
                    yield ("stages", name, "needs", n), f"there is no stage {needed!r}", did_you_mean(needed, self._pipeline.stages)
            if name in self._pipeline.needed(name):
                yield ("stages", name, "needs"), f"stage {name!r} needs itself, by way of what it needs", "break the circle"
        seen: dict[str, str] = {}
        for name, n, step in self._pipeline.steps():
            if step.id in seen:
                yield ("stages", name, "steps", n, "id"), f"{step.id!r} is the id of a step of stage {seen[step.id]!r}", "give each its own"
            seen.setdefault(step.id, name)
            yield from self._references(name, n, step)

    def _references(self, stage: str, n: int, step: Step) -> Iterator[tuple[KeyPath, str, str]]:
        for where, reference in references(step.with_):
            path: KeyPath = ("stages", stage, "steps", n, "with", *where)
            if not reference.name:
                yield path, f"${{{reference.text}}} is no reference", INSTEAD
            elif reference.step:
                yield from ((path, *trouble) for trouble in self._of_step(stage, n, reference.step, reference.name))

    def _of_step(self, stage: str, n: int, wanted: str, name: str) -> Iterator[tuple[str, str]]:
        if wanted not in self._place:
            yield f"there is no step {wanted!r}", did_you_mean(wanted, self._place)
            return
        other, place = self._place[wanted]
        if other == stage and place >= n:
            yield f"step {wanted!r} comes no earlier than this one", "put it before this one"
        if other != stage and other not in self._pipeline.needed(stage):
            yield f"step {wanted!r} is of stage {other!r}, which need not be over by then", f"add `needs: [{other}]` to stage {stage!r}"
        uses = self._pipeline.stages[other].steps[place].uses
        outputs = kind(uses).outputs if uses in KINDS else None
        if outputs is not None and name not in outputs:
            yield f"{uses} hands on no {name!r}", did_you_mean(name, outputs)
