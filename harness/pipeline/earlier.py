"""What earlier runs of a pipeline know: which steps passed, with which inputs, and how long they took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from harness.pipeline import directory, reading, words
from harness.pipeline.reading import PipelineRecord, StepRecord
from harness.record.store import RecordError

_MOST_RUNS = 50  # no further back


@dataclass(frozen=True, slots=True)
class Pass:
    """A step that passed: its answer, and the run whose evidence it is. Paths of evidence are absolute."""

    step: StepRecord
    run: Path


class Earlier:
    """The runs of one pipeline, newest first."""

    def __init__(self, runs: Iterable[PipelineRecord]) -> None:
        self._runs = tuple(runs)

    def passed(self, step: str, fingerprint: str | None) -> Pass | None:
        """The newest answer of this step with this fingerprint, if that was a pass whose evidence is still there.

        A newer answer that was none of the kind, with the same inputs, is in the way: it is what is known of them now.
        """
        for run in self._runs if fingerprint else ():
            found = next((one for one in run.steps if one.id == step and one.answered and one.fingerprint == fingerprint), None)
            if found is not None:
                good = any(one is found for one in reading.passed(run)) and all(
                    (run.path / path).exists() for path in found.evidence.values()
                )
                return Pass(found, Path(found.taken_from) if found.taken_from else run.path) if good else None
        return None

    def about_s(self, step: str) -> float | None:
        """The median of what it took to pass; None where it never did."""
        own = [one for run in self._runs for one in run.steps if one.id == step and one.state == words.FINISHED]
        took = [one.seconds for one in own if one.status is not None and one.lets_pass and one.seconds is not None]
        return median(took) if took else None


def read(out: Path, name: str) -> Earlier:
    """The latest runs of the pipeline under `out`; what cannot be read is left out."""
    found = []
    for run, _ in zip(directory.earlier(out, name), range(_MOST_RUNS), strict=False):
        try:
            found.append(reading.read(run.path))
        except RecordError:
            continue
    return Earlier(found)
