"""From two things on disk - run records, or files of pytest-benchmark - to a verdict on the second. Works on any machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.gate import Verdict, compared
from harness.judging import Judged, recorded_scenario
from harness.record import store, watched
from harness.record.history import History
from harness.record.progress import UNTOLD, Progress
from harness.scenario.comparison import Metric
from harness.score import comparable, timings, versions
from harness.score.check import Result, Status
from harness.score.compare import Compared
from harness.score.timings import TimingFile
from harness.score.versions import Arm


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a comparison, as people know it."""

    name: str
    commit: str
    machine: Mapping[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        return {"path": self.name, "commit": self.commit, "machine": self.machine}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of one comparison. `base` is the baseline, `anchor` the first one of all, where the two differ."""

    base: Party
    candidate: Party
    metrics: tuple[Compared, ...]
    verdict: Verdict
    remarks: tuple[str, ...] = ()
    anchor: Party | None = None


def compare(
    base: Path,
    candidate: Path,
    *,
    anchor: Path | None = None,
    strict: bool = False,
    metric: Metric | None = None,
    progress: Progress = UNTOLD,
) -> Comparison:
    """Two runs, or two files of pytest-benchmark. `metric` is what is asked of each benchmark.

    Raises RecordError (not a record, or a damaged file) or ScenarioError.
    """
    files = [path.is_file() for path in (base, candidate)]
    if all(files):
        return _benchmarks(base, candidate, metric or Metric(worse_by="10%"), strict)
    if any(files):
        raise store.RecordError(f"{base} and {candidate}: one is a file, the other is not; give two runs, or two files of pytest-benchmark")
    return _runs(base, candidate, anchor, strict, progress)


def compare_turns(turns: Sequence[tuple[Path, Path]], *, metric: Metric, strict: bool = False) -> Comparison:
    """Files of pytest-benchmark of two versions that were measured in turn: (base, candidate) of each turn. Raises RecordError."""
    files = [(_timings(base), _timings(candidate)) for base, candidate in turns]
    return _of_files(*files[0], timings.compare_turns(files, metric), strict)


def _runs(base: Path, candidate: Path, anchor: Path | None, strict: bool, progress: Progress) -> Comparison:
    before, after = read_arm(base, progress), read_arm(candidate, progress)
    metrics = _compared(before, after, "compare", progress)
    anchored = None
    if anchor is not None and anchor.resolve() != base.resolve():
        arm = read_arm(anchor, progress)
        metrics += _compared(arm, after, "compare.anchor", progress)
        anchored = _party(anchor, arm.history)
    return Comparison(
        _party(base, before.history),
        _party(candidate, after.history),
        metrics,
        compared([c.result for c in metrics], strict=strict),
        tuple(comparable.remarks(before.history, after.history)),
        anchored,
    )


def _compared(before: Arm, after: Arm, name: str, progress: Progress) -> tuple[Compared, ...]:
    def of(base: History, candidate: History) -> tuple[Compared, ...]:
        return versions.sequential(replace(before, history=base), replace(after, history=candidate), name)

    return of(*watched.begin("comparing", of, progress, before.history, after.history))


def read_arm(path: Path, progress: Progress = UNTOLD) -> Arm:
    """One run as a side of a comparison. Raises RecordError or ScenarioError."""
    directory = store.RunDirectory(path.resolve())
    history = store.read(directory.path, progress=progress)
    return Arm(history, recorded_scenario(directory, history.run))


def _benchmarks(base: Path, candidate: Path, metric: Metric, strict: bool) -> Comparison:
    before, after = _timings(base), _timings(candidate)
    return _of_files(before, after, timings.compare_files(before, after, metric), strict)


def _of_files(base: TimingFile, candidate: TimingFile, metrics: tuple[Compared, ...], strict: bool) -> Comparison:
    parties = [Party(file.path, file.commit, file.machine) for file in (base, candidate)]
    return Comparison(parties[0], parties[1], metrics, compared([c.result for c in metrics], strict=strict))


def _timings(path: Path) -> TimingFile:
    return TimingFile.parse(_read(path), str(path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise store.RecordError(f"{path}: {error}") from error


def _party(path: Path, history: History) -> Party:
    return Party(str(path), str(history.run.get("git", {}).get("sha", "nogit")), comparable.machine(history))


def with_baseline(
    judged: Judged, base: Path, *, anchor: Path | None = None, strict: bool = False, progress: Progress = UNTOLD
) -> tuple[Judged, Comparison]:
    """A judged run whose verdict also counts how it compares with a baseline. Raises RecordError or ScenarioError."""
    found = compare(base, judged.directory.path, anchor=anchor, strict=strict, progress=progress)
    own = judged.verdict
    worst = found.verdict if found.verdict.outranks(own) else own
    results = (*own.results, *(c.result for c in found.metrics))
    return replace(judged, verdict=replace(worst, results=results, score=own.score)), found


def without_baseline(judged: Judged, reason: str, *, strict: bool = False) -> Judged:
    """A judged run that was to be compared, and could be with nothing: the first run of all proves no more than itself."""
    missing = Result(f"{versions.GROUP}.baseline", versions.GROUP, Status.INCONCLUSIVE, reason)
    added, own = compared([missing], strict=strict), judged.verdict
    worst = added if added.outranks(own) else own
    return replace(judged, verdict=replace(worst, results=(*own.results, missing), score=own.score))
