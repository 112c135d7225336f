"""Reports as the product writes them, one of each verdict, from histories written by hand."""

from __future__ import annotations

from pathlib import Path

from harness.gate import Verdict
from harness.report import html
from harness.score.check import Result, Status
from tests.unit.report import sample

PASSED = tuple(r for r in sample.RESULTS if r.status is Status.PASS)
UNKNOWN = (*PASSED, Result("recovery.latency_p99.9", "objective", Status.INCONCLUSIVE, "625 samples are too few", None, "<= 2s", "s", 625))
VERDICTS = {
    "pass": Verdict(Status.PASS, 0, "all 6 checks pass", PASSED),
    "fail": sample.verdict(),
    "inconclusive": Verdict(Status.INCONCLUSIVE, 3, "recovery.latency_p99.9: 625 samples are too few", UNKNOWN),
}


def report(folder: Path, name: str) -> Path:
    """The page of that verdict."""
    page = folder / f"{name}.html"
    page.write_text(html.render(VERDICTS[name], sample.history(), sample.scenario()), encoding="utf-8")
    return page
