"""Plays a pipeline: starts what may start, waits, ends what takes too long. Every step of that is an event before it is anything else.

It decides by the events alone (reading.record), so that what it does and what is read from disk afterwards cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.pipeline import reading, words
from harness.pipeline.definition import Pipeline, Stage, Step
from harness.pipeline.directory import PipelineDirectory
from harness.pipeline.earlier import Earlier, Pass
from harness.pipeline.reading import PipelineRecord, StageRecord, StepRecord
from harness.pipeline.references import UnresolvedError, references
from harness.pipeline.selection import Way
from harness.pipeline.step import StepResult
from harness.record.clock import NS_PER_S, Clock
from harness.record.events import Event
from harness.score.check import Status

POLL_S = 0.05
MARGIN_S = 15.0
"""Beyond the grace that a step has to clean up (child.GRACE_S), which its own process keeps: then it is ended from here."""


class Work(Protocol):
    """A step at work (processes.StepProcess)."""

    def poll(self) -> StepResult | None:
        """Its answer, once nothing of it is left; None while it works."""
        ...

    def stop(self) -> None:
        """Ask it to clean up and end."""
        ...

    def end(self) -> None:
        """End it now."""
        ...


class Workshop(Protocol):
    """What can carry out steps (workshop.ProcessWorkshop)."""

    def fingerprint(self, step: Step, outputs: Mapping[str, Mapping[str, str]]) -> str | None:
        """Of what its answer depends on. Raises UnresolvedError or ValueError for a step that cannot be given what it wants."""
        ...

    def start(self, stage: str, step: Step, outputs: Mapping[str, Mapping[str, str]], say: Callable[[str], None]) -> Work:
        """Begin. Raises OSError where no process can be made."""
        ...


@dataclass(slots=True)
class _AtWork:
    work: Work
    stage: str
    step: Step
    deadline_ns: int
    end_ns: int | None = None  # it was asked to stop, and is ended then
    late: bool = False


class Engine:
    """One run. `stopped` says that somebody interrupted."""

    def __init__(
        self,
        pipeline: Pipeline,
        ways: Mapping[str, Way],
        run: Mapping[str, Any],
        directory: PipelineDirectory,
        workshop: Workshop,
        earlier: Earlier,
        append: Callable[[Event], object],
        clock: Clock,
        stopped: Callable[[], str | None] = lambda: None,
        grace_s: float = 30.0,
    ) -> None:
        self._pipeline = pipeline
        self._ways = ways
        self._run = run
        self._directory = directory
        self._workshop = workshop
        self._earlier = earlier
        self._append = append
        self._clock = clock
        self._stopped = stopped
        self._grace_s = grace_s + MARGIN_S
        self._events: list[Event] = []
        self._said: dict[str, Event] = {}
        self._at_work: dict[str, _AtWork] = {}
        self._interrupted = False

    def play(self, observe: Callable[[PipelineRecord], None] = lambda _: None) -> None:
        """To the end. Returns when nothing is at work any more."""
        try:
            self._play(observe)
        finally:
            for one in self._at_work.values():  # only where this program itself went wrong
                one.work.end()
        self._tell(words.ENDED, ending=words.INTERRUPTED if self._interrupted else words.COMPLETED)

    def _play(self, observe: Callable[[PipelineRecord], None]) -> None:
        while True:
            if not self._interrupted and (signal := self._stopped()) is not None:
                self._interrupted = True
                self._tell(words.SIGNAL, signal=signal)
                for one in self._at_work.values():
                    self._ask(one)
            while not self._interrupted and self._start_what_may():
                pass
            observe(self._record())
            if not self._at_work:
                return
            self._clock.sleep(POLL_S)
            self._look()

    # What may start

    def _start_what_may(self) -> bool:
        """One thing that changes what may start; False when there is none."""
        record = self._record()
        stages = {stage.name: stage for stage in record.stages}
        for name, stage in self._pipeline.stages.items():
            if self._ways[name] == "left_out" or all(step.state for step in stages[name].steps):
                continue
            over = [stages[one] for one in stage.needs if self._is_over(stages[one])]
            blocking = [one for one in over if not all(step.lets_pass for step in one.steps)]
            if blocking:
                self._leave_out(name, stages[name], f"needs {blocking[0].name}, {_how(blocking[0])}")
                return True
            if len(over) == len(stage.needs) and self._within(name, stage, stages[name]):
                return True
        return False

    def _within(self, name: str, stage: Stage, record: StageRecord) -> bool:
        """Start, take or leave out the next step of a stage that may be carried out."""
        done = {step.id: step for step in record.steps}
        for n, step in enumerate(stage.steps):
            if done[step.id].state:
                continue
            before = _before(stage, n)
            if any(not done[one].state or one in self._at_work for one in before):
                continue
            stopping = next((done[one] for one in before if not done[one].lets_pass), None)
            if stopping is not None:
                self._not_run(name, step.id, f"needs {stopping.id}, which {_state_of(stopping)}")
            else:
                self._begin(name, step)
            self._close(name)
            return True
        return False

    def _begin(self, stage: str, step: Step) -> None:
        if not any(event.kind == words.STAGE and event.data["stage"] == stage for event in self._events):
            self._tell(words.STAGE, stage=stage, state="started")
        outputs = self._outputs()
        try:
            fingerprint = self._workshop.fingerprint(step, outputs)
        except (UnresolvedError, ValueError, OSError) as error:
            self._answer(stage, step, StepResult(Status.INCONCLUSIVE, " ".join(str(error).split())), None)
            return
        way = self._ways[stage]
        runs_again = way == "fresh" or (way == "resume" and step.always)
        found = None if runs_again else self._earlier.passed(step.id, fingerprint)
        if found is not None:
            self._take(stage, step, found)
        elif way == "taken":
            self._not_run(stage, step.id, f"{reading.NOT_SELECTED}, and no earlier run passed it with these inputs")
        else:
            self._start(stage, step, outputs, fingerprint)

    def _start(self, stage: str, step: Step, outputs: Mapping[str, Mapping[str, str]], fingerprint: str | None) -> None:
        about = self._earlier.about_s(step.id)
        self._step(stage, step.id, words.STARTED, fingerprint=fingerprint, timeout_s=step.timeout, about_s=about)
        try:
            work = self._workshop.start(stage, step, outputs, lambda text: self._say(stage, step.id, text))
        except (OSError, ValueError) as error:
            self._answer(stage, step, StepResult(Status.INCONCLUSIVE, f"it could not be started: {error}"), fingerprint)
            return
        self._at_work[step.id] = _AtWork(work, stage, step, self._clock.now_ns() + int(step.timeout * NS_PER_S))

    def _take(self, stage: str, step: Step, found: Pass) -> None:
        before = found.step
        evidence = {name: str(found.run / path) for name, path in before.evidence.items()}
        answer = {"status": before.status, "reason": before.reason, "findings": list(before.findings), "outputs": dict(before.outputs)}
        self._step(stage, step.id, words.TAKEN, run=str(found.run), fingerprint=before.fingerprint, evidence=evidence, **answer)

    # What is at work

    def _look(self) -> None:
        now_ns = self._clock.now_ns()
        for one in list(self._at_work.values()):
            result = one.work.poll()
            if result is not None:
                del self._at_work[one.step.id]
                self._over(one, result)
            elif one.end_ns is not None and now_ns >= one.end_ns:
                one.work.end()
                del self._at_work[one.step.id]
                self._over(one, StepResult(Status.INCONCLUSIVE, "it did not end when it was told to"))
            elif one.end_ns is None and now_ns >= one.deadline_ns:
                one.late = True
                self._ask(one)

    def _ask(self, one: _AtWork) -> None:
        if one.end_ns is None:
            one.end_ns = self._clock.now_ns() + int(self._grace_s * NS_PER_S)
            one.work.stop()

    def _over(self, one: _AtWork, result: StepResult) -> None:
        fingerprint = next((s.fingerprint for s in self._record().steps if s.id == one.step.id), None)
        if one.late:
            text = f"no answer within its timeout of {one.step.timeout:g} s: ended"
            self._answer(one.stage, one.step, StepResult(Status.INCONCLUSIVE, text, evidence=result.evidence), fingerprint)
        elif one.end_ns is not None:
            self._step(one.stage, one.step.id, words.STOPPED, reason="interrupted")
        else:
            self._answer(one.stage, one.step, result, fingerprint)
        self._close(one.stage)

    # What is told

    def _answer(self, stage: str, step: Step, result: StepResult, fingerprint: str | None) -> None:
        findings = [finding.to_json() for finding in result.findings]
        evidence = {name: self._relative(path) for name, path in result.evidence.items()}
        outputs, reason = dict(result.outputs), result.reason
        told = {"status": result.status, "reason": reason, "findings": findings, "evidence": evidence, "outputs": outputs}
        self._step(stage, step.id, words.FINISHED, fingerprint=fingerprint, **told)

    def _leave_out(self, name: str, stage: StageRecord, reason: str) -> None:
        for step in stage.steps:
            if not step.state:
                self._not_run(name, step.id, reason)

    def _not_run(self, stage: str, step: str, reason: str) -> None:
        self._step(stage, step, words.NOT_RUN, reason=reason)

    def _close(self, stage: str) -> None:
        record = next(one for one in self._record().stages if one.name == stage)
        if self._is_over(record):
            self._tell(words.STAGE, stage=stage, state="over")

    def _is_over(self, stage: StageRecord) -> bool:
        return all(step.state and step.id not in self._at_work for step in stage.steps)

    def _say(self, stage: str, step: str, text: str) -> None:
        """From the thread that reads the step's output. Only the last one is kept at hand."""
        event = Event(self._clock.now_ns(), words.STEP, "truth", {"stage": stage, "step": step, "state": words.SAID, "text": text})
        self._append(event)
        self._said[step] = event

    def _step(self, stage: str, step: str, state: str, **data: Any) -> None:
        self._tell(words.STEP, stage=stage, step=step, state=state, **data)

    def _tell(self, kind: str, **data: Any) -> None:
        event = Event(self._clock.now_ns(), kind, "truth", data)
        self._append(event)
        self._events.append(event)

    def _record(self) -> PipelineRecord:
        return reading.record(self._directory.path, self._run, self._pipeline, [*self._events, *self._said.copy().values()])

    def _outputs(self) -> dict[str, Mapping[str, str]]:
        return {step.id: step.outputs for step in self._record().steps if step.answered}

    def _relative(self, path: Path) -> str:
        return str(path.relative_to(self._directory.path)) if path.is_relative_to(self._directory.path) else str(path)


def _before(stage: Stage, place: int) -> list[str]:
    """Steps of the stage that must be over before the one at `place`: all earlier ones, or in a parallel stage those it refers to."""
    earlier = [step.id for step in stage.steps[:place]]
    if not stage.parallel:
        return earlier
    wanted = {reference.step for _, reference in references(stage.steps[place].with_)}
    return [one for one in earlier if one in wanted]


def _state_of(step: StepRecord) -> str:
    return f"is {step.status.value}" if step.status is Status.INCONCLUSIVE else f"{step.status.value}ED" if step.status else "did not run"


def _how(stage: StageRecord) -> str:
    """`which FAILED (unit)`."""
    worst = reading.deciding([step for step in stage.steps if not step.lets_pass])
    assert worst is not None
    verb = {Status.FAIL: "FAILED", Status.INCONCLUSIVE: "is INCONCLUSIVE"}.get(worst.status) if worst.status else None
    return f"which {verb} ({worst.id})" if verb else f"which did not run ({worst.id}: {worst.reason})"
