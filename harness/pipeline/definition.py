"""What may be written in a pipeline file. See docs/pipeline.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from harness.scenario.fields import Model, PositiveDuration

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
DEFAULT_TIMEOUT_S = 900.0


class Step(Model):
    """One piece of work, of a kind that the registry knows."""

    id: Name = Field(description="unique in the whole pipeline: `${steps.ID.NAME}` refers to what it hands on")
    uses: str = Field(description="the kind of step")
    with_: dict[str, Any] = Field(default_factory=dict, alias="with", description="what the kind wants to know")
    timeout: PositiveDuration = Field(
        default=DEFAULT_TIMEOUT_S, description="no answer by then is INCONCLUSIVE, and all its processes are ended"
    )
    optional: bool = Field(default=False, description="whatever comes of it but PASS is a warning, and what follows runs all the same")
    always: bool = Field(default=False, description="runs again on `--resume`, too: for what changes without any of its inputs")
    inputs: list[str] = Field(default_factory=list, description="further files that it depends on, as patterns from the root")


class Stage(Model):
    """Steps in a row, or side by side."""

    needs: list[str] = Field(default_factory=list, description="stages that must have passed before")
    parallel: bool = Field(default=False, description="its steps run side by side; one that refers to another waits for that one")
    steps: list[Step] = Field(min_length=1)


class Pipeline(Model):
    """Stages, each after those that it needs, side by side where it needs none."""

    name: Name
    description: str = ""
    stages: dict[Name, Stage] = Field(min_length=1)

    def steps(self) -> Iterator[tuple[str, int, Step]]:
        """(stage, place in it, step) in the order of the file."""
        for name, stage in self.stages.items():
            yield from ((name, n, step) for n, step in enumerate(stage.steps))

    def needed(self, name: str) -> set[str]:
        """All stages before this one, at however many removes; itself among them where they go in a circle."""
        return _reached(name, {one: stage.needs for one, stage in self.stages.items()})

    def depending(self, name: str) -> set[str]:
        """All stages after this one, at however many removes."""
        return {other for other in self.stages if name in self.needed(other)}


def _reached(start: str, edges: Mapping[str, list[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(edges.get(start, []))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += edges.get(name, [])
    return found
