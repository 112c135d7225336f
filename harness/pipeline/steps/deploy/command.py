"""`gauntlet deploy` as a step: a program of its own, for a deploy hears signals, and its lease outlives the step."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.deploy.loading import DeployError, load_plan
from harness.deploy.plan import Strategy
from harness.findings import Finding
from harness.lifecycle.exit_codes import INTERRUPTED, NOT_STARTED, USAGE
from harness.pipeline.answers import said_in
from harness.pipeline.step import Context, StepResult
from harness.record.clock import SystemClock
from harness.scenario.problem import Problem, ScenarioError
from harness.score.check import Status

OUTPUTS = {"run_dir": "the record of the deploy", "serving": "the version that serves since", "strategy": "how it was rolled out"}
_GAUNTLET = (sys.executable, "-P", "-m", "harness.cli")
_POLL_S = 0.1
_TROUBLE = {USAGE: "the file cannot be used", NOT_STARTED: "the base version did not start", INTERRUPTED: "the deploy was interrupted"}


def carry_out_deploy(strategy: Strategy, file: Path, context: Context) -> StepResult:
    """The verdict of the deploy; the way back is part of it, also where somebody interrupts. A file that cannot be used fails at once."""
    try:
        load_plan(context.root / file, strategy)
    except DeployError as error:
        return refused(error, "deploy.file", context)
    return said_by(["deploy", strategy.replace("_", "-"), str(file)], context)


def said_by(command: Sequence[str], context: Context) -> StepResult:
    """What a command of `gauntlet` that deploys says, as the answer of a step."""
    answer, log = context.directory / "verdict.json", context.directory / "deploy.log"
    code = run([*command, "--json", "--out", str(context.directory / "runs")], answer, log, context)
    document = said_in(answer)
    evidence = {"verdict": answer, "log": log}
    if "verdict" not in document:
        why = str(document.get("error") or last_line(log))
        return StepResult(Status.INCONCLUSIVE, f"{_TROUBLE.get(code, f'gauntlet deploy ended with {code}')}: {why}", evidence=evidence)
    outputs = {name: str(document.get(name) or "") for name in OUTPUTS}
    return StepResult(Status(document["verdict"]), str(document["reason"]), evidence=evidence, outputs=outputs)


def refused(error: ScenarioError, rule: str, context: Context) -> StepResult:
    """A file that cannot be used fails before anything starts, at its place."""
    findings = tuple(_finding(problem, rule, context.root) for problem in error.problems)
    return StepResult(Status.FAIL, str(findings[0]), findings=findings)


def _finding(problem: Problem, rule: str, root: Path) -> Finding:
    path = Path(problem.path)
    shown = str(path.relative_to(root)) if path.is_relative_to(root) else problem.path
    return Finding(rule, "error", problem.message, problem.hint or "see docs/deploy.md", shown, problem.line, problem.column)


def run(command: Sequence[str], answer: Path, log: Path, context: Context, *, to_the_end: bool = False) -> int:
    """The exit status of `gauntlet COMMAND`.

    Who stops the step interrupts it, once, and waits: for the way back of a deploy. What clears away goes on `to_the_end`.
    """
    clock = SystemClock()
    told = 0
    with answer.open("wb") as out, log.open("ab") as errors:
        process = subprocess.Popen(
            [*_GAUNTLET, *command],
            cwd=context.root,
            env=dict(context.environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
        )
        interrupted = to_the_end
        while process.poll() is None:
            if context.stopped() and not interrupted:
                interrupted = True
                process.send_signal(signal.SIGINT)
            told = _tell(log, told, context)
            clock.sleep(_POLL_S)
        _tell(log, told, context)
    return process.returncode


def _tell(log: Path, told: int, context: Context) -> int:
    """Pass whole new lines on; returns how many bytes have been."""
    text = log.read_bytes()[told:]
    whole = text[: text.rfind(b"\n") + 1]
    for line in whole.decode("utf-8", errors="replace").splitlines():
        context.say(line)
    return told + len(whole)


def last_line(log: Path) -> str:
    """What a command said last."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
