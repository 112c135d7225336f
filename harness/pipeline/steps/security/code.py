"""What bandit finds in Python code; accepted findings are kept in a file, with their reasons."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from harness.findings import Finding, Level
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.security.telling import answer
from harness.scenario.fields import Model
from harness.score.check import Status
from harness.security.accepted import AcceptedError, Fingerprinted, fingerprint, load, without_accepted

TIMEOUT_S = 600
_LEVELS: Mapping[str, Level] = {"HIGH": "error", "MEDIUM": "warning", "LOW": "note"}


class Code(Model):
    """Which code."""

    paths: Annotated[list[str], Field(min_length=1)] = Field(description="files and folders of Python code")
    skip: list[str] = Field(default_factory=list, description="tests of bandit that are left out: B101")
    exclude: list[str] = Field(default_factory=list, description="folders that are left out")
    accepted: str | None = Field(default=None, description="a YAML list of {fingerprint, reason}")


def carry_out(options: Code, context: Context) -> StepResult:
    """FAIL for a finding of high severity; INCONCLUSIVE where nothing was read, or a file could not be."""
    try:
        accepted = load(context.root / options.accepted if options.accepted else None)
    except AcceptedError as error:
        return StepResult(Status.FAIL, str(error))
    missing = [name for name in options.paths if not (context.root / name).exists()]
    if missing:
        return StepResult(Status.INCONCLUSIVE, f"{', '.join(missing)}: not there")
    report = context.directory / "bandit.json"
    context.say(f"bandit reads {', '.join(options.paths)}")
    why = _ran(options, context.root, report)
    if why:
        return StepResult(Status.INCONCLUSIVE, why)
    document = json.loads(report.read_text(encoding="utf-8"))
    lines = int(document["metrics"]["_totals"]["loc"])
    doubts = [f"{_relative(one['filename'], context.root)}: not read: {one['reason']}" for one in document["errors"]]
    if not lines:
        doubts.append(f"no line of Python in {', '.join(options.paths)}")
    found = [_finding(one, context.root) for one in document["results"]]
    findings = without_accepted(found, accepted, options.accepted or "")
    return answer(context, "code", findings, f"{lines} lines of code without a finding above a note", doubts, {"bandit": report})


def _ran(options: Code, root: Path, report: Path) -> str:
    """Why bandit has no answer; empty where it has."""
    command = [sys.executable, "-m", "bandit", "--quiet", "--recursive", "--format", "json", "--output", str(report.resolve())]
    command += ["--skip", ",".join(options.skip)] if options.skip else []
    command += ["--exclude", ",".join(str(root / one) for one in options.exclude)] if options.exclude else []
    try:
        done = subprocess.run(
            [*command, *(str(root / one) for one in options.paths)],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"bandit has not answered within {TIMEOUT_S} s"
    if done.returncode in (0, 1) and report.is_file():
        return ""
    if "No module named bandit" in done.stderr:
        return "bandit is not installed: pip install 'rag-gauntlet[security]'"
    return f"bandit ended with {done.returncode}: {_last_line(done.stderr)}"


def _last_line(text: str) -> str:
    lines: Sequence[str] = text.strip().splitlines()
    return lines[-1] if lines else "nothing was said"


def _finding(one: Mapping[str, Any], root: Path) -> Fingerprinted:
    path = _relative(str(one["filename"]), root)
    level = _LEVELS.get(str(one["issue_severity"]), "note")
    message = f"{one['issue_text']} (severity {one['issue_severity'].lower()}, confidence {one['issue_confidence'].lower()})"
    rule = f"code.{one['test_id']}"
    finding = Finding(rule, level, message, f"see {one['more_info']}", path, int(one["line_number"]), int(one["col_offset"]) + 1)
    return Fingerprinted(finding, fingerprint(rule, path, _own_line(str(one["code"]), int(one["line_number"]))))


def _own_line(code: str, number: int) -> str:
    """The line itself of bandit's excerpt, whose lines begin with their numbers: it stays the same where it moves."""
    lines = (line.lstrip().partition(" ") for line in code.splitlines())
    return next((text.strip() for at, _, text in lines if at == str(number)), "")


def _relative(path: str, root: Path) -> str:
    try:
        return Path(path).resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return Path(path).as_posix()
