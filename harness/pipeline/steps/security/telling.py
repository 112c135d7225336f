"""How the steps of the security stage answer: findings as JSON and SARIF beside the step, and one status."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.findings import Finding, counted, worst_first
from harness.pipeline.step import Context, StepResult
from harness.report import sarif
from harness.score.check import Status
from harness.security.rules import RULES


def answer(
    context: Context,
    category: str,
    findings: Sequence[Finding],
    fine: str,
    doubts: Sequence[str] = (),
    more: Mapping[str, Path] | None = None,
) -> StepResult:
    """FAIL for an error, else INCONCLUSIVE for a doubt, else WARN for a warning, else PASS with `fine`. Evidence is written first."""
    found = tuple(worst_first(findings))
    told, uploaded = context.directory / "findings.json", context.directory / f"{category}.sarif"
    document = {"findings": [finding.to_json() for finding in found], "doubts": list(doubts)}
    told.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", errors="backslashreplace")
    uploaded.write_bytes(sarif.of_findings(found, RULES, category=category))
    evidence = {"findings": told, "sarif": uploaded, **(more or {})}
    levels = {finding.level for finding in found}
    if "error" in levels:
        return StepResult(Status.FAIL, f"{counted(found)}: {found[0]}", found, evidence)
    if doubts:
        return StepResult(
            Status.INCONCLUSIVE, "; ".join(doubts[:3]) + (f" (and {len(doubts) - 3} more)" if len(doubts) > 3 else ""), found, evidence
        )
    if "warning" in levels:
        return StepResult(Status.WARN, f"{counted(found)}: {found[0]}", found, evidence)
    return StepResult(Status.PASS, fine, found, evidence)
