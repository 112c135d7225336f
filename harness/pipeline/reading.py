"""A run of a pipeline, read from disk, also one that was killed in the middle. What is concluded is a pure function of that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.pipeline import words
from harness.pipeline.definition import Pipeline, Stage, Step
from harness.pipeline.directory import PipelineDirectory
from harness.record.events import Event
from harness.record.journal import JournalError, read_journal
from harness.record.store import RecordError
from harness.score.check import Status, merge, severity

NOT_SELECTED = "not selected"
KILLED = "it was at work when the run ended without a word: killed"
NEVER = "the run ended before it began"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What is known of one step. `status` is None for one that did not answer; the reason then says why."""

    stage: str
    id: str
    uses: str
    optional: bool
    state: str = ""  # one of words, or empty: nothing happened
    status: Status | None = None
    reason: str = ""
    fingerprint: str | None = None
    seconds: float | None = None
    began_ns: int | None = None
    about_s: float | None = None
    taken_from: str = ""
    said: str = ""
    findings: tuple[Mapping[str, Any], ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)  # paths relative to the run's directory; absolute where taken
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def answered(self) -> bool:
        return self.state in (words.FINISHED, words.TAKEN)

    @property
    def counts_as(self) -> Status:
        """Its part in the verdict: an optional one can do no worse than WARN, and one that did not answer proves nothing."""
        status = self.status if self.status is not None else Status.INCONCLUSIVE
        return Status.WARN if self.optional and status is not Status.PASS else status

    @property
    def lets_pass(self) -> bool:
        """Whether what comes after it may begin."""
        return self.answered and severity(self.counts_as) <= severity(Status.WARN)


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage. `selected` is false for one that was not asked for; its steps may still have been taken from an earlier run."""

    name: str
    needs: tuple[str, ...]
    selected: bool
    steps: tuple[StepRecord, ...]
    seconds: float | None = None

    @property
    def status(self) -> Status | None:
        """None for one that was not asked for and of which nothing was taken."""
        if not self.selected and not all(step.answered for step in self.steps):
            return None
        return merge(step.counts_as for step in self.steps)

    @property
    def reason(self) -> str:
        """Of the step that decides; empty where all passed."""
        worst = deciding(self.steps)
        return f"{worst.id}: {worst.reason}" if worst is not None and worst.counts_as is not Status.PASS else ""


@dataclass(frozen=True, slots=True)
class PipelineRecord:
    """The whole run."""

    path: Path
    run: Mapping[str, Any]
    pipeline: Pipeline
    stages: tuple[StageRecord, ...]
    ending: str  # completed, interrupted, or empty: the run was killed
    seconds: float
    damage: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[StepRecord, ...]:
        return tuple(step for stage in self.stages for step in stage.steps)

    @property
    def asked(self) -> tuple[StepRecord, ...]:
        """The steps of the stages that were asked for."""
        return tuple(step for stage in self.stages if stage.selected for step in stage.steps)

    @property
    def status(self) -> Status:
        """FAIL > INCONCLUSIVE > WARN > PASS over the steps that were asked for; where none passed, nothing is proved."""
        return merge([*(step.counts_as for step in self.asked), *([Status.INCONCLUSIVE] if self._doubt else [])])

    @property
    def reason(self) -> str:
        """What stopped it, and why; else what passed."""
        worst = deciding(self.asked)
        if self.ending == words.INTERRUPTED and self.status is Status.INCONCLUSIVE:
            return "interrupted"
        if worst is not None and worst.counts_as is self.status and self.status is not Status.PASS:
            return f"{worst.stage}/{worst.id}: {worst.reason}"
        if self._doubt:
            return self._doubt
        left_out = [stage.name for stage in self.stages if not stage.selected]
        rest = f"; not asked for: {', '.join(left_out)}" if left_out else ""
        stages = len(self.stages) - len(left_out)
        return f"all {len(self.asked)} steps of {stages} stage{'' if stages == 1 else 's'} pass{rest}"

    @property
    def _doubt(self) -> str:
        """Why the run as a whole proves nothing, whatever its steps say; empty where it may."""
        if self.damage:
            return self.damage[0]
        if self.ending != words.COMPLETED:
            return "the run did not reach its own end"
        if not self.asked:
            return "nothing was asked for: no stage is left of those that the options name"
        return "" if any(step.status in (Status.PASS, Status.WARN) for step in self.asked) else "no step passed"


def deciding(steps: Sequence[StepRecord]) -> StepRecord | None:
    """The step that decides: the worst; of equals one that answered, then the earliest."""
    order = sorted(enumerate(steps), key=lambda one: (-severity(one[1].counts_as), not one[1].answered, one[0]))
    return order[0][1] if order else None


def read(path: Path) -> PipelineRecord:
    """Raises RecordError for what is no run of a pipeline."""
    directory = PipelineDirectory(path.resolve())
    run = directory.read_run_file()
    damage: list[str] = []
    try:
        events = list(read_journal(directory.events, damage))
        pipeline = Pipeline.model_validate(run["pipeline"])
    except (JournalError, ValueError) as error:
        raise RecordError(f"{directory.path}: {error}") from error
    return record(directory.path, run, pipeline, events, damage)


def record(path: Path, run: Mapping[str, Any], pipeline: Pipeline, events: Sequence[Event], damage: Iterable[str] = ()) -> PipelineRecord:
    """What the events say. An event that names no step of the pipeline is left out."""
    ended = next((e for e in reversed(events) if e.kind == words.ENDED), None)
    selected = set(run.get("selected", pipeline.stages))
    stages = tuple(_stage(name, stage, name in selected, events, over=ended is not None) for name, stage in pipeline.stages.items())
    seconds = (events[-1].t_ns - events[0].t_ns) / 1e9 if events else 0.0
    return PipelineRecord(path, run, pipeline, stages, str(ended.data.get("ending", "")) if ended else "", seconds, tuple(damage))


def _stage(name: str, stage: Stage, selected: bool, events: Sequence[Event], *, over: bool) -> StageRecord:
    own = [e for e in events if e.data.get("stage") == name]
    steps = tuple(
        _step(name, step, [e for e in own if e.kind == words.STEP and e.data.get("step") == step.id], over) for step in stage.steps
    )
    if not selected:
        steps = tuple(step if step.state else replace(step, reason=NOT_SELECTED) for step in steps)
    times = {e.data.get("state"): e.t_ns for e in own if e.kind == words.STAGE}
    seconds = (times["over"] - times["started"]) / 1e9 if {"started", "over"} <= times.keys() else None
    return StageRecord(name, tuple(stage.needs), selected, steps, seconds)


def _step(stage: str, step: Step, events: Iterable[Event], over: bool) -> StepRecord:
    found = StepRecord(stage, step.id, step.uses, step.optional)
    for event in events:
        found = replace(found, **_changes(found, event))
    if found.state in (words.STARTED, words.SAID):
        return replace(found, reason="it was at work when the run ended" if over else KILLED)
    return found if found.state else replace(found, reason=NEVER)


def _changes(before: StepRecord, event: Event) -> dict[str, Any]:
    data, state = event.data, str(event.data.get("state", ""))
    match state:
        case words.STARTED:
            about = data.get("about_s")
            return {"state": state, "fingerprint": data.get("fingerprint"), "began_ns": event.t_ns, "about_s": about}
        case words.SAID:
            return {"said": str(data.get("text", ""))}
        case words.NOT_RUN | words.STOPPED:
            return {"state": state, "reason": str(data.get("reason", "")), **_took(before, event)}
        case words.FINISHED | words.TAKEN:
            return {
                "state": state,
                "status": Status(data["status"]),
                "reason": str(data.get("reason", "")),
                "fingerprint": data.get("fingerprint", before.fingerprint),
                "taken_from": str(data.get("run", "")),
                "findings": tuple(data.get("findings", ())),
                "evidence": dict(data.get("evidence", {})),
                "outputs": dict(data.get("outputs", {})),
                **_took(before, event),
            }
    return {}


def _took(before: StepRecord, event: Event) -> dict[str, float]:
    return {} if before.began_ns is None else {"seconds": (event.t_ns - before.began_ns) / 1e9}


def passed(found: PipelineRecord) -> Iterator[StepRecord]:
    """Steps whose answer another run may take: they passed, here or where they were taken from. No other answer is ever taken."""
    yield from (step for step in found.steps if step.answered and step.status in (Status.PASS, Status.WARN) and step.fingerprint)
