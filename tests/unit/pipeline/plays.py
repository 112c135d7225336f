"""Pipelines played on a fake clock, by steps that take as long, and answer, as a script says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.pipeline import reading
from harness.pipeline.definition import Pipeline, Step
from harness.pipeline.directory import PipelineDirectory
from harness.pipeline.earlier import Earlier
from harness.pipeline.engine import Engine
from harness.pipeline.loading import load_text
from harness.pipeline.reading import PipelineRecord
from harness.pipeline.references import resolved
from harness.pipeline.selection import Selection
from harness.pipeline.step import StepResult
from harness.record.journal import Journal
from harness.score.check import Status
from harness.testing import FakeClock

PASS = StepResult(Status.PASS, "fine")
FAIL = StepResult(Status.FAIL, "it is broken")
UNKNOWN = StepResult(Status.INCONCLUSIVE, "it could not be told")


@dataclass
class Played:
    """One step of the script. `stops_s`: what it takes to end once it was asked to; None: it never does."""

    result: StepResult = PASS
    took_s: float = 1.0
    stops_s: float | None = 0.5
    ended: bool = False
    asked: bool = False


@dataclass
class FakeWork:
    clock: FakeClock
    played: Played
    began_ns: int
    asked_ns: int | None = None

    def poll(self) -> StepResult | None:
        if (
            self.asked_ns is not None
            and self.played.stops_s is not None
            and self.clock.now_ns() >= self.asked_ns + self.played.stops_s * 1e9
        ):
            return UNKNOWN
        return self.played.result if self.clock.now_ns() >= self.began_ns + self.played.took_s * 1e9 else None

    def stop(self) -> None:
        self.played.asked = True
        self.asked_ns = self.clock.now_ns()

    def end(self) -> None:
        self.played.ended = True


@dataclass
class FakeWorkshop:
    clock: FakeClock
    script: Mapping[str, Played]
    began: dict[str, float] = field(default_factory=dict)
    given: dict[str, dict[str, Any]] = field(default_factory=dict)
    inputs: str = "same"

    def fingerprint(self, step: Step, outputs: Mapping[str, Mapping[str, str]]) -> str | None:
        return f"{step.id} {resolved(step.with_, outputs, {})} {self.inputs}"

    def start(self, stage: str, step: Step, outputs: Mapping[str, Mapping[str, str]], say: Callable[[str], None]) -> FakeWork:
        self.began[step.id] = self.clock.now_ns() / 1e9
        self.given[step.id] = resolved(step.with_, outputs, {})
        say(f"{step.id} says hello")
        return FakeWork(self.clock, self.script.get(step.id, Played()), self.clock.now_ns())


@dataclass
class Run:
    record: PipelineRecord
    began: dict[str, float]
    given: dict[str, dict[str, Any]]

    def told(self) -> dict[str, str]:
        """What came of each step: its status, or its state and reason."""
        return {s.id: s.status.value if s.status else f"{s.state or '-'}: {s.reason}" for s in self.record.steps}


def pipeline(text: str) -> Pipeline:
    return load_text(text).pipeline


def play(
    text: str,
    folder: Path,
    script: Mapping[str, Played] | None = None,
    *,
    selection: Selection | None = None,
    earlier: tuple[PipelineRecord, ...] = (),
    stopped: Callable[[FakeClock], str | None] = lambda _: None,
    inputs: str = "same",
) -> Run:
    """Play it; what is returned was read from disk."""
    folder.mkdir(parents=True, exist_ok=True)
    clock = FakeClock(100.0)
    shop = FakeWorkshop(clock, script or {}, inputs=inputs)
    one = pipeline(text)
    ways = (selection or Selection()).ways(one)
    document = {
        "pipeline": one.model_dump(mode="json", by_alias=True),
        "selected": [name for name, way in ways.items() if way in ("fresh", "resume")],
        "git": {"sha": "0" * 40, "dirty": False},
    }
    directory = PipelineDirectory(folder)
    directory.write_run_file(document)
    journal = Journal(directory.events)
    Engine(one, ways, document, directory, shop, Earlier(earlier), journal.append, clock, lambda: stopped(clock)).play()
    journal.close()
    return Run(reading.read(folder), {name: at - 100.0 for name, at in shop.began.items()}, shop.given)
