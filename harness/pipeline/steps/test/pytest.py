"""Tests, by pytest: every one that fails is named, and where none ran nothing is proved."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from pydantic import Field

from harness.findings import Finding
from harness.pipeline.programs import Ended, ProgramError
from harness.pipeline.programs import carry_out as carry_out_program
from harness.pipeline.step import Context, StepResult
from harness.scenario.fields import Model
from harness.score.check import Status

OUTPUTS = {"junit": "the report, as JUnit XML", "tests": "how many ran"}
_SHARE = re.compile(r"\[ *(\d+)%\]$")
_SHARE_STEP = 5
_NAMED = 5  # of failing tests in the reason; all of them are findings


class Pytest(Model):
    """What is tested, by which interpreter."""

    paths: list[Path] = Field(default_factory=list, description="files and folders; without any, what the project's own settings say")
    args: list[str] = Field(default_factory=list, description="further arguments for pytest")
    python: Path | None = Field(default=None, description="an interpreter that has pytest; default: the one that runs the pipeline")
    least: int = Field(default=1, ge=1, description="fewer tests that ran prove nothing")


@dataclass(frozen=True, slots=True)
class Report:
    """What a JUnit file says. `failed` are (name, message); `ran` counts tests that were not skipped."""

    ran: int
    skipped: int
    failed: tuple[tuple[str, str], ...]


def carry_out(options: Pytest, context: Context) -> StepResult:
    """Run pytest, and read its report."""
    file = context.directory / "junit.xml"
    try:
        arguments = [*map(str, options.paths), *options.args, f"--junitxml={file}"]
        ended = carry_out_program(argv(options.python, arguments), context, heard=progress(context.say))
    except ProgramError as error:
        return StepResult(Status.INCONCLUSIVE, f"pytest cannot be started: {error}")
    report = read(file)
    evidence = {"junit": file} if file.exists() else {}
    if report is None:
        return StepResult(Status.INCONCLUSIVE, f"pytest left no report ({ended.how}): {ended.last}", evidence=evidence)
    status, reason = judged(report, ended, options.least)
    outputs = {"junit": str(file), "tests": str(report.ran)}
    return StepResult(status, reason, tuple(_findings(report)), evidence, outputs)


def argv(python: Path | None, arguments: Sequence[str]) -> list[str]:
    """The command line of a pytest."""
    return [str(python) if python else sys.executable, "-m", "pytest", *arguments]


def progress(say: Callable[[str], None]) -> Callable[[str], None]:
    """Tells how far pytest is, by the share at the end of its lines: `.... [ 45%]`; every five per cent."""
    told = 0

    def heard(line: str) -> None:
        nonlocal told
        found = _SHARE.search(line)
        if found and int(found[1]) >= told + _SHARE_STEP:
            told = int(found[1])
            say(f"{told} % of the tests")

    return heard


def read(file: Path) -> Report | None:
    """None where there is no report, or only a part of one."""
    try:
        root = ET.parse(file).getroot()
    except (OSError, ET.ParseError):
        return None
    cases = list(root.iter("testcase"))
    skipped = sum(case.find("skipped") is not None for case in cases)
    failed = tuple((_name(case), _first_line(case)) for case in cases if case.find("failure") is not None or case.find("error") is not None)
    return Report(len(cases) - skipped, skipped, failed)


def judged(report: Report, ended: Ended, least: int) -> tuple[Status, str]:
    """A failing test is FAIL; too few tests, and a pytest that went wrong itself, are INCONCLUSIVE."""
    if ended.stopped:
        return Status.INCONCLUSIVE, "it was stopped"
    if report.failed:
        more = f" and {len(report.failed) - _NAMED} more" if len(report.failed) > _NAMED else ""
        names = ", ".join(name for name, _ in report.failed[:_NAMED])
        return Status.FAIL, f"{len(report.failed)} of {report.ran} tests fail: {names}{more}; the first: {report.failed[0][1]}"
    if report.ran == 0 and report.skipped:
        return Status.INCONCLUSIVE, f"all {report.skipped} tests were skipped: nothing is proved"
    if report.ran == 0:
        return Status.INCONCLUSIVE, "no test was collected: nothing is proved"
    if ended.code != 0:
        return Status.INCONCLUSIVE, f"pytest ended with {ended.how}, though no test fails: {ended.last}"
    if report.ran < least:
        return Status.INCONCLUSIVE, f"{report.ran} tests ran, at least {least} are wanted"
    return Status.PASS, f"{report.ran} tests pass{f', {report.skipped} were skipped' if report.skipped else ''}"


def _findings(report: Report) -> Iterator[Finding]:
    for name, message in report.failed:
        yield Finding("test.failed", "error", message, "mend the test, or what it tests", name)


def _name(case: ET.Element) -> str:
    """`tests.unit.test_a::test_b`; of a file that cannot be imported, the file."""
    parts = [part for part in (case.get("classname"), case.get("name")) if part]
    return "::".join(parts) or "a test without a name"


def _first_line(case: ET.Element) -> str:
    for kind in ("failure", "error"):
        if (found := case.find(kind)) is not None:
            text = found.get("message") or found.text or ""
            lines = [line.strip() for line in (found.text or text).splitlines() if line.startswith("E ")] or text.splitlines()
            return (lines[0].removeprefix("E ").strip() if lines else kind)[:300]
    return ""
