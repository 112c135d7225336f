"""Benchmarks, by pytest-benchmark, compared with a baseline as `gauntlet compare` does it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from harness.comparing import compare
from harness.pipeline.programs import ProgramError
from harness.pipeline.programs import carry_out as carry_out_program
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.test import pytest
from harness.record.store import RecordError
from harness.report import comparison
from harness.scenario.comparison import Metric
from harness.scenario.fields import Model, Percent
from harness.score.check import Status

OUTPUTS = {"benchmarks": "the file of pytest-benchmark: keep it as the next baseline"}


class Benchmark(Model):
    """What is measured, and what it is compared with."""

    paths: list[Path] = Field(min_length=1, description="files and folders with benchmarks")
    baseline: Path = Field(description="what --benchmark-json wrote, on this machine, for the version to compare with")
    worse_by: Percent = Field(default="10%", description="what a benchmark may lose")
    args: list[str] = Field(default_factory=list, description="further arguments for pytest")
    python: Path | None = Field(
        default=None, description="an interpreter that has pytest-benchmark; default: the one that runs the pipeline"
    )


def carry_out(options: Benchmark, context: Context) -> StepResult:
    """Measure, then compare."""
    file, junit = context.directory / "benchmarks.json", context.directory / "junit.xml"
    flags = ["--benchmark-enable", "--benchmark-only", f"--benchmark-json={file}", f"--junitxml={junit}"]
    try:
        ended = carry_out_program(pytest.argv(options.python, [*map(str, options.paths), *options.args, *flags]), context)
    except ProgramError as error:
        return StepResult(Status.INCONCLUSIVE, f"pytest cannot be started: {error}")
    report = pytest.read(junit)
    if report is None:
        return StepResult(Status.INCONCLUSIVE, f"pytest left no report ({ended.how}): {ended.last}")
    status, reason = pytest.judged(report, ended, 1)
    if status is not Status.PASS:
        return StepResult(status, reason, evidence={"junit": junit})
    return _compared(options, context, file)


def _compared(options: Benchmark, context: Context, file: Path) -> StepResult:
    measured = {"benchmarks": file}
    outputs = {"benchmarks": str(file)}
    baseline = context.root / options.baseline
    if not baseline.exists():
        reason = f"there is no baseline {options.baseline}; keep {file} there, if it may be one"
        return StepResult(Status.INCONCLUSIVE, reason, evidence=measured, outputs=outputs)
    try:
        found = compare(baseline, file, metric=Metric(worse_by=options.worse_by))
    except RecordError as error:
        return StepResult(Status.INCONCLUSIVE, str(error), evidence=measured, outputs=outputs)
    kept = context.directory / "comparison.json"
    kept.write_bytes(comparison.render(found))
    return StepResult(found.verdict.status, found.verdict.reason, evidence={**measured, "comparison": kept}, outputs=outputs)
