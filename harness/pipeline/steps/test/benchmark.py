"""Benchmarks, by pytest-benchmark, compared with a baseline as `gauntlet compare` does it: a file, or what a commit takes here and now.

A commit and what is checked out are measured in turn, several times over, so that what else the machine does falls on both alike.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from harness.comparing import Comparison, compare, compare_turns
from harness.pipeline.fingerprint import git
from harness.pipeline.programs import ProgramError
from harness.pipeline.programs import carry_out as carry_out_program
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.test import pytest
from harness.record.store import RecordError
from harness.report import comparison
from harness.scenario.comparison import Metric
from harness.scenario.fields import Model, Percent
from harness.score.blockwise import LEAST_BLOCKS
from harness.score.check import Status

OUTPUTS = {"benchmarks": "the file of pytest-benchmark: keep it as the next baseline"}


class Benchmark(Model):
    """What is measured, and what it is compared with."""

    paths: list[Path] = Field(min_length=1, description="files and folders with benchmarks")
    baseline: Path | None = Field(
        default=None, description="what --benchmark-json wrote, on this machine, for the version to compare with; or else `against`"
    )
    against: str | None = Field(
        default=None,
        pattern=r"^[^-\s]\S*$",
        description="a commit whose own benchmarks of that name are measured in turn with what is checked out: HEAD~1, a tag",
    )
    turns: int = Field(default=6, ge=LEAST_BLOCKS, le=50, description="how often both are measured, with `against`")
    worse_by: Percent = Field(default="10%", description="what a benchmark may lose")
    args: list[str] = Field(default_factory=list, description="further arguments for pytest")
    python: Path | None = Field(
        default=None, description="an interpreter that has pytest-benchmark; default: the one that runs the pipeline"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.baseline is None) == (self.against is None):
            raise ValueError("one of baseline and against is needed; write against: HEAD~1")
        return self


class _UnmeasuredError(Exception):
    """There is nothing to compare: the answer, which is no pass."""

    def __init__(self, result: StepResult) -> None:
        super().__init__(result.reason)
        self.result = result


def carry_out(options: Benchmark, context: Context) -> StepResult:
    """Measure, then compare."""
    try:
        if options.against is not None:
            return _in_turn(options, options.against, context)
        file = _measured(options, context, context.root, "benchmarks")
    except _UnmeasuredError as unmeasured:
        return unmeasured.result
    baseline = context.root / str(options.baseline)
    if not baseline.exists():
        reason = f"there is no baseline {options.baseline}; keep {file} there, if it may be one"
        return StepResult(Status.INCONCLUSIVE, reason, evidence={"benchmarks": file}, outputs={"benchmarks": str(file)})
    return _compared(lambda metric: compare(baseline, file, metric=metric), options, context, {"benchmarks": file})


def _in_turn(options: Benchmark, commit: str, context: Context) -> StepResult:
    """Raises _UnmeasuredError."""
    turns: list[tuple[Path, Path]] = []
    with _checked_out(commit, context) as tree:
        for number in range(1, options.turns + 1):
            context.say(f"measuring {commit} and what is checked out here: turn {number} of {options.turns}")
            measures = [
                partial(_of_commit, options, commit, context, tree, number),
                partial(_measured, options, context, context.root, f"benchmarks-{number}"),
            ]
            # First one, then the other comes first: what grows from one to the next falls on both.
            found = [measure() for measure in (measures if number % 2 else measures[::-1])]
            turns.append((found[0], found[1]) if number % 2 else (found[1], found[0]))
    evidence = {"baseline": turns[-1][0], "benchmarks": turns[-1][1]}
    return _compared(lambda metric: compare_turns(turns, metric=metric), options, context, evidence)


def _of_commit(options: Benchmark, commit: str, context: Context, tree: Path, number: int) -> Path:
    """What its benchmarks take, on its own code. Raises _UnmeasuredError."""
    try:
        file = _measured(options, context, tree, f"baseline-{number}")
    except _UnmeasuredError as unmeasured:
        told = unmeasured.result
        reason = f"{commit} cannot be measured: {told.reason}"
        raise _UnmeasuredError(StepResult(Status.INCONCLUSIVE, reason, evidence=told.evidence)) from None
    sha = (git(context.root, "rev-parse", f"{commit}^{{commit}}") or b"").decode().strip()
    document = json.loads(file.read_text(encoding="utf-8"))  # its pytest stood below this tree, and took this tree's commit for its own
    file.write_text(json.dumps({**document, "commit_info": {"id": sha}}), encoding="utf-8")
    return file


@contextmanager
def _checked_out(commit: str, context: Context) -> Iterator[Path]:
    """Its files, in a folder that goes with the block. Raises _UnmeasuredError."""
    tree, archive = context.directory / "tree", context.directory / "tree.tar"
    found = subprocess.run(
        ["git", "archive", "--format=tar", f"--output={archive}", commit], cwd=context.root, capture_output=True, text=True, check=False
    )
    try:
        if found.returncode:
            told = (found.stderr.strip().splitlines() or [f"git ended with {found.returncode}"])[-1]
            raise _UnmeasuredError(StepResult(Status.INCONCLUSIVE, f"{commit} cannot be checked out: {told}"))
        shutil.unpack_archive(archive, tree, filter="data")
        yield tree
    finally:
        archive.unlink(missing_ok=True)
        shutil.rmtree(tree, ignore_errors=True)


def _measured(options: Benchmark, context: Context, tree: Path, name: str) -> Path:
    """The file of pytest-benchmark for the code in `tree`, which is what its pytest imports first. Raises _UnmeasuredError."""
    file, junit = context.directory / f"{name}.json", context.directory / f"{name}-junit.xml"
    flags = ["--benchmark-enable", "--benchmark-only", "--benchmark-save-data", f"--benchmark-json={file}", f"--junitxml={junit}"]
    argv = pytest.argv(options.python, [*map(str, options.paths), *options.args, *flags])
    try:
        ended = carry_out_program(argv, context, cwd=tree)
    except ProgramError as error:
        raise _UnmeasuredError(StepResult(Status.INCONCLUSIVE, f"pytest cannot be started: {error}")) from None
    report = pytest.read(junit)
    if report is None:
        raise _UnmeasuredError(StepResult(Status.INCONCLUSIVE, f"pytest left no report ({ended.how}): {ended.last}"))
    status, reason = pytest.judged(report, ended, 1)
    if status is not Status.PASS:
        raise _UnmeasuredError(StepResult(status, reason, evidence={"junit": junit}))
    return file


def _compared(judge: Callable[[Metric], Comparison], options: Benchmark, context: Context, measured: Mapping[str, Path]) -> StepResult:
    outputs = {"benchmarks": str(measured["benchmarks"])}
    try:
        found = judge(Metric(worse_by=options.worse_by))
    except RecordError as error:
        return StepResult(Status.INCONCLUSIVE, str(error), evidence=measured, outputs=outputs)
    kept = context.directory / "comparison.json"
    kept.write_bytes(comparison.render(found))
    return StepResult(found.verdict.status, found.verdict.reason, evidence={**measured, "comparison": kept}, outputs=outputs)
