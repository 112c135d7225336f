"""`expect: [{callers: …}]`: how the stack under test treated its mock providers, by their own journals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from harness.record import events as ev
from harness.record.history import History
from harness.scenario.model import Callers, Scenario
from harness.score import sli as slis
from harness.score.check import Result, Status
from harness.score.clients import ClientReport, Finding, grade
from harness.score.clients_rules import AMPLIFICATION, Limits, counted
from harness.score.preconditions import cut_off
from harness.score.spans import NS_PER_S

NAME = "expect.run.callers"


def check(history: History, scenario: Scenario) -> Iterable[Result]:
    """Of each entry with `callers`: that nothing was found that it does not allow, and that calls were not multiplied."""
    for entry in scenario.expect:
        if entry.callers is not None:
            yield from _check(history, entry.callers)


def _check(history: History, asked: Callers) -> Iterable[Result]:
    rows = [row for journal in history.providers for row in journal.rows]
    reason = _in_the_way(history)
    report = grade(rows, Limits(read_timeout_s=asked.read_timeout), start_s=history.start_ns / NS_PER_S)
    if reason is None and not report.graded:
        reason = report.reason
    yield _findings(report, asked, reason)
    if asked.amplification is not None:
        yield _amplification(report, asked, reason)


def _in_the_way(history: History) -> str | None:
    """Missing rows make callers look patient, or as if they had given up: then nothing is concluded."""
    reason = cut_off(history)
    if reason is not None:
        return reason
    if not history.providers:
        return "no provider's journal was recorded"
    if any(True for kind in (ev.ABORT, ev.INTERRUPTED) for _ in history.of_kind(kind)):
        return "the run was stopped early, which cut calls short"
    missing = [f"{journal.service}: {why}" for journal in history.providers for why in journal.missing]
    return f"rows are missing from the providers' journals: {'; '.join(missing)}" if missing else None


def _findings(report: ClientReport, asked: Callers, reason: str | None) -> Result:
    elsewhere = {AMPLIFICATION} if asked.amplification is not None else set()
    broken = [f for f in report.findings if f.code not in elsewhere.union(asked.allow)]
    limit = f"none but {', '.join(sorted(asked.allow))}" if asked.allow else "none"
    result = Result(
        NAME,
        "expect",
        Status.INCONCLUSIVE,
        reason or "",
        value=", ".join(dict.fromkeys(f.code for f in broken)) or "none",
        limit=limit,
        samples=report.graded,
        evidence=tuple(line for f in broken for line in _lines(f)),
    )
    if reason is not None:
        return replace(result, value=None)
    if broken:
        return replace(result, status=Status.FAIL, reason=_sum_of(broken))
    allowed = sum(f.count for f in report.findings if f.code in asked.allow)
    extra = f", in which {counted(allowed, 'thing')} happened that the scenario allows" if allowed else ""
    told = f"{counted(report.graded, 'occasion')} to misbehave in {counted(report.troubled, 'call')} that met trouble{extra}"
    return replace(result, status=Status.PASS, reason=told)


def _amplification(report: ClientReport, asked: Callers, reason: str | None) -> Result:
    limit = asked.amplification
    if limit is None:
        raise ValueError("asked for an amplification that the scenario does not limit")
    name, mean = f"{NAME}.amplification", report.amplification
    result = Result(name, "expect", Status.INCONCLUSIVE, "", limit=limit.text, unit="number", samples=report.troubled)
    if reason is not None or mean is None:
        return replace(result, reason=reason or "no call met any trouble")
    most = max(c.attempts_per_call_max for c in report.callers)
    status = Status.PASS if slis.keeps(limit, mean) else Status.FAIL
    return replace(result, status=status, value=mean, reason=f"{mean:.3g} attempts per call that met trouble, {most} at most")


def _sum_of(findings: Sequence[Finding]) -> str:
    first = findings[0]
    told = f"{first.code} by {first.caller}, {first.count} of {first.of} times: {first.what}"
    return told + (f" (and {len(findings) - 1} more findings)" if len(findings) > 1 else "")


def _lines(finding: Finding) -> Iterable[str]:
    return (f"{finding.code} {line}" for line in finding.evidence)
