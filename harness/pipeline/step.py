"""What one step of a pipeline is given, and what it answers.

A kind of step is a frozen pydantic model of its `with:` and a function `carry_out(options, context) -> StepResult`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.findings import Finding
from harness.score.check import Status


@dataclass(frozen=True, slots=True)
class Context:
    """Where a step works.

    `directory` is the step's own, empty when it begins: evidence goes there and stays. Paths in `with:` are relative to `root`.
    `outputs` holds what the steps before it handed on, by step id.
    """

    directory: Path
    root: Path
    environment: Mapping[str, str]
    outputs: Mapping[str, Mapping[str, str]]
    say: Callable[[str], None]  # one line of progress
    stopped: Callable[[], bool]  # somebody has interrupted: clean up and answer


@dataclass(frozen=True, slots=True)
class StepResult:
    """How it went. INCONCLUSIVE where it could not be told, with the reason: never PASS."""

    status: Status
    reason: str  # one line; of a failure: what is wrong, and where
    findings: tuple[Finding, ...] = ()
    evidence: Mapping[str, Path] = field(default_factory=dict)  # files in the step's directory, by name
    outputs: Mapping[str, str] = field(default_factory=dict)  # for later steps
