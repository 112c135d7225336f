"""Which stages are carried out, and of which steps an earlier pass will do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from harness.pipeline.definition import Pipeline

Way = Literal["fresh", "resume", "taken", "left_out"]
"""`fresh`: every step runs. `resume`: one that passed with the same inputs is taken. `taken`: nothing runs. `left_out`: none is asked."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What the command line asked for."""

    stages: tuple[str, ...] = ()  # these alone
    start: str | None = None  # this one, and all that depend on it
    resume: bool = False

    def unknown(self, pipeline: Pipeline) -> list[str]:
        """Names that are no stage of the pipeline."""
        asked = [*self.stages, *([self.start] if self.start else [])]
        return [name for name in asked if name not in pipeline.stages]

    def ways(self, pipeline: Pipeline) -> dict[str, Way]:
        """What becomes of each stage. Those that a selected one needs are taken from earlier runs, and only from there."""
        selected = self._selected(pipeline)
        needed = {other for name in selected for other in pipeline.needed(name)} - selected
        return {name: self._way(name, selected, needed) for name in pipeline.stages}

    def _selected(self, pipeline: Pipeline) -> set[str]:
        selected = set(pipeline.stages)
        if self.stages:
            selected &= set(self.stages)
        if self.start:
            selected &= {self.start} | pipeline.depending(self.start)
        return selected

    def _way(self, name: str, selected: Collection[str], needed: Collection[str]) -> Way:
        if name in selected:
            return "resume" if self.resume and name != self.start else "fresh"
        return "taken" if name in needed else "left_out"
