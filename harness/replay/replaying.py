"""From a run directory to the verdict on another operator, or on the same one again. No clock, no socket: the same bytes every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

from harness.gate import Verdict, decide
from harness.judging import recorded_scenario
from harness.ops.assembly import assemble
from harness.record import store
from harness.record.clock import WallAnchor
from harness.record.events import OPERATOR, STACK
from harness.record.history import History
from harness.record.progress import UNTOLD, Progress
from harness.replay.fidelity import Fidelity, fidelity
from harness.replay.judging import asked, judge, with_claims
from harness.replay.outside import OutsideOperator
from harness.replay.parting import Parting, partings
from harness.replay.play import Assemble, Replayed, play
from harness.replay.recording import Recording, Seen
from harness.scenario.model import FaultUse, Scenario

Alter = Callable[[Iterator[Seen]], Iterator[Seen]]
_SAME_ACTION_INTERVALS = 2.0  # how many sampling intervals the same action may come earlier or later than in the run


@dataclass(frozen=True)
class Source:
    """A run that can be replayed, read once. Raises RecordError, ScenarioError."""

    recording: Recording
    live: History
    scenario: Scenario
    wall_offset_s: float
    interval_s: float
    until_ns: int  # when the run's own operator was stopped, or the stack: what comes then is the end of the run, and no incident

    @classmethod
    def of(cls, path: Path, progress: Progress = UNTOLD) -> Source:
        directory = store.RunDirectory(path.resolve())
        live = store.read(directory.path, progress=progress)
        recording = Recording.of(directory)
        anchor = live.run.get("clock", {})
        try:
            offset_s = WallAnchor(str(anchor["utc"]), int(anchor["t_ns"])).at(0).timestamp()
        except (KeyError, TypeError, ValueError) as error:
            raise store.RecordError(f"{directory.run_file}: no clock anchor: {error}") from error
        return cls(recording, live, asked(recorded_scenario(directory, live.run)), offset_s, recording.interval_s(), _until_ns(live))

    def asking(self, other: Scenario, file: Path) -> Source:
        """The same run, of which is asked what `other`, read from `file`, expects. Raises RecordError where that is of another fault.

        What the run does not have of the other's faults is INCONCLUSIVE, as in any run that lacks them.
        """
        played = {fault.id: fault for fault in self.scenario.faults}
        for fault in other.faults:
            run = played.get(fault.id, fault)
            if (run.type, run.target, run.with_) != (fault.type, fault.target, fault.with_):
                raise store.RecordError(
                    f"{file}: its fault {fault.id} is not the one of the run: {_words(fault)}, and in the run {_words(run)}"
                )
        return replace(self, scenario=self.scenario.model_copy(update={"expect": asked(other).expect}))

    @cached_property
    def rounds(self) -> tuple[Seen, ...]:
        """What an operator gets to see of it, read once. Raises RecordError where samples are missing."""
        return tuple(takewhile(lambda seen: seen.done_ns <= self.until_ns, self.recording.rounds()))


def _words(fault: FaultUse) -> str:
    return f"{fault.type} of {fault.target} with {fault.with_}"


def _until_ns(live: History) -> int:
    ends = [e.t_ns for e in live.events if (e.kind, e.data.get("state")) in ((OPERATOR, "stopped"), (STACK, "stopping"))]
    return min(ends, default=live.end_ns)


@dataclass(frozen=True)
class Replay:
    """One replay, judged."""

    source: Source
    replayed: Replayed
    history: History
    verdict: Verdict
    partings: tuple[Parting, ...]

    @property
    def fidelity(self) -> Fidelity:
        return fidelity(self.source.live, self.history, self.source.interval_s)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; depends on the record and this program alone."""
        start_ns = self.history.start_ns
        return {
            "scenario": self.source.scenario.name,
            **self.verdict.to_json(),
            "partings": [
                {
                    "fault": p.fault_id,
                    "at_s": round((p.at_ns - start_ns) / 1e9, 3),
                    "until_s": round((p.end_ns - start_ns) / 1e9, 3),
                    "why": p.why,
                }
                for p in self.partings
            ],
            "fidelity": self.fidelity.to_json(),
            "refused": list(self.replayed.refused),
            "claims": [{"t_s": round((e.t_ns - start_ns) / 1e9, 3), "kind": e.kind, **e.data} for e in self.replayed.events],
        }


def replay(
    source: Source, assembled: Assemble = assemble, alter: Alter | None = None, *, own: bool = True, progress: Progress = UNTOLD
) -> Replay:
    """Play the run to a fresh operator (`own`: the embedded one), and score it. `alter` changes what it gets to see."""
    rounds = _shown(source.rounds, progress)
    replayed = play(alter(rounds) if alter is not None else rounds, source.recording.targets, source.wall_offset_s, assembled, own=own)
    history = with_claims(source.live, replayed.events)
    parted = partings(source.live, history, _SAME_ACTION_INTERVALS * source.interval_s)
    results = judge(history, source.scenario, parted)
    verdict = decide(results, source.scenario)
    if not results:
        verdict = replace(verdict, reason="nothing that a replay can score is expected: no alert, diagnosis, action or count of them")
    return Replay(source, replayed, history, verdict, parted)


def _shown(rounds: Sequence[Seen], progress: Progress) -> Iterator[Seen]:
    progress.begin("replaying", len(rounds))
    for seen in rounds:
        yield seen
        progress.advance(1)


def replay_outside(source: Source, operator: OutsideOperator, progress: Progress = UNTOLD) -> Replay:
    """The same for an operator in a process of its own."""
    return replay(source, lambda _, voice: operator.join(source.recording.told, voice), own=False, progress=progress)
