"""How the callers of a provider behave when it fails: a pure function of its journal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.record.provider import Exchange
from harness.score import stats
from harness.score.check import Status, merge
from harness.score.clients_calls import Attempt, Call, calls_of, waited_s
from harness.score.clients_rules import AMPLIFICATION, BY_ABSENCE, LEVELS, RULES, Limits, counted
from harness.score.clients_trouble import Trouble

MOST_EXAMPLES = 5
DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that one caller does wrong: how often, of how many times that it could have, and the first few attempts that show it."""

    code: str
    level: Status
    caller: str
    count: int
    of: int
    what: str
    evidence: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "level": self.level.value,
            "caller": self.caller,
            "count": self.count,
            "of": self.of,
            "what": self.what,
            "evidence": list(self.evidence),
        }


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller in figures. `outcomes` count calls; means and shares are None where nothing was there to count."""

    name: str
    attempts: int
    calls: int
    troubled: int
    outcomes: Mapping[str, int]
    attempts_per_troubled_call_mean: float | None
    attempts_per_call_max: int
    retry_after_told: int
    retry_after_honoured_share: float | None
    unattributed: int

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__} | {"outcomes": dict(self.outcomes)}


@dataclass(frozen=True, slots=True)
class ClientReport:
    """`checked` counts the opportunities of each rule. `reason` says what stands in the way of a verdict, or sums it up."""

    status: Status
    reason: str
    findings: tuple[Finding, ...]
    callers: tuple[Caller, ...]
    checked: Mapping[str, int]
    attempts_per_trace_mean: float | None
    attempts_per_trace_max: int | None
    missing: tuple[str, ...]

    @property
    def graded(self) -> int:
        """Opportunities in all."""
        return sum(self.checked.values())

    @property
    def troubled(self) -> int:
        """Calls that met trouble."""
        return sum(c.troubled for c in self.callers)

    @property
    def amplification(self) -> float | None:
        """Mean attempts per call that met trouble, over all callers."""
        attempts = math.fsum((c.attempts_per_troubled_call_mean or 0.0) * c.troubled for c in self.callers)
        return stats.rounded(attempts / self.troubled) if self.troubled else None

    def to_json(self) -> dict[str, Any]:
        """A stable, JSON-ready document."""
        return {
            "verdict": self.status.value,
            "reason": self.reason,
            "findings": [f.to_json() for f in self.findings],
            "callers": [c.to_json() for c in self.callers],
            "checked": dict(self.checked),
            "attempts_per_trace": {"mean": self.attempts_per_trace_mean, "max": self.attempts_per_trace_max},
            "missing": list(self.missing),
        }


def grade(
    rows: Sequence[Exchange], limits: Limits = DEFAULT_LIMITS, missing: Sequence[str] = (), start_s: float | None = None
) -> ClientReport:
    """Grade every caller. `missing` says why rows may be absent; times in evidence count from `start_s` (the first arrival).

    Where rows may be absent, that no attempt followed is no more than INCONCLUSIVE.
    """
    calls = calls_of(rows, limits.idle_s)
    origin_s = min((r.arrived_s for r in rows), default=0.0) if start_s is None else start_s
    by_caller: dict[str, list[Call]] = {}
    for call in calls:
        by_caller.setdefault(call.caller, []).append(call)
    checked: Counter[str] = Counter(dict.fromkeys(LEVELS, 0))
    findings: list[Finding] = []
    for name, own in sorted(by_caller.items()):
        findings.extend(_findings(name, [c for c in own if c.certain], limits, origin_s, checked))
    if missing:
        findings = [replace(f, level=Status.INCONCLUSIVE) if f.code in BY_ABSENCE else f for f in findings]
    callers = tuple(_caller(name, own) for name, own in sorted(by_caller.items()))
    order = list(LEVELS)
    findings.sort(key=lambda f: (order.index(f.code), f.caller))
    status, reason = _verdict(findings, checked, callers, missing)
    mean, most = _per_trace(rows)
    return ClientReport(status, reason, tuple(findings), callers, dict(checked), mean, most, tuple(missing))


def _findings(name: str, calls: Sequence[Call], limits: Limits, origin_s: float, checked: Counter[str]) -> Iterable[Finding]:
    for code, (level, rule) in RULES.items():
        seen = [s for call in calls for s in rule(call, limits)]
        checked[code] += len(seen)
        wrong = [s for s in seen if s.wrong is not None]
        if wrong:
            evidence = tuple(_told(s.attempts, s.wrong or "", origin_s) for s in wrong[:MOST_EXAMPLES])
            yield Finding(code, level, name, len(wrong), len(seen), wrong[0].wrong or "", evidence)
    yield from _amplification(name, calls, limits, origin_s, checked)


def _amplification(name: str, calls: Sequence[Call], limits: Limits, origin_s: float, checked: Counter[str]) -> Iterable[Finding]:
    """Attempts per call, over calls that met trouble. What is a storm already is not counted once more."""
    troubled = [c for c in calls if c.troubled and len(c.attempts) <= limits.most_attempts]
    checked[AMPLIFICATION] += len(troubled)
    mean = _mean([len(c.attempts) for c in troubled])
    if mean is None or mean <= limits.amplification:
        return
    worst = sorted(troubled, key=lambda c: -len(c.attempts))[:MOST_EXAMPLES]
    evidence = tuple(_told(c.attempts, f"{len(c.attempts)} attempts", origin_s) for c in worst)
    what = f"{mean:.3g} attempts per call that met trouble, more than {limits.amplification:g}"
    yield Finding(AMPLIFICATION, LEVELS[AMPLIFICATION], name, len(troubled), len(troubled), what, evidence)


def _caller(name: str, calls: Sequence[Call]) -> Caller:
    sure = [c for c in calls if c.certain]
    troubled = [c for c in sure if c.troubled]
    told = [
        (attempt.row.retry_after_s or 0.0, waited_s(attempt, following))
        for call in sure
        for attempt, following in call.pairs
        if attempt.trouble is Trouble.RETRYABLE and attempt.row.retry_after_s and following is not None
    ]
    ignored = sum(1 for call in sure for s in RULES["retry_after_ignored"][1](call, DEFAULT_LIMITS) if s.wrong is not None)
    return Caller(
        name=name,
        attempts=sum(len(c.attempts) for c in calls),
        calls=len(sure),
        troubled=len(troubled),
        outcomes=dict(sorted(Counter(c.last.trouble.value for c in sure).items())),
        attempts_per_troubled_call_mean=_mean([len(c.attempts) for c in troubled]),
        attempts_per_call_max=max((len(c.attempts) for c in sure), default=0),
        retry_after_told=len(told),
        retry_after_honoured_share=stats.rounded(1.0 - ignored / len(told)) if told else None,
        unattributed=sum(len(c.attempts) for c in calls if not c.certain),
    )


def _verdict(
    findings: Sequence[Finding], checked: Mapping[str, int], callers: Sequence[Caller], missing: Sequence[str]
) -> tuple[Status, str]:
    unattributed = sum(c.unattributed for c in callers)
    if not callers:
        open_question: str | None = "the journal holds no request of any caller"
    elif not any(checked.values()):
        open_question = "nothing to grade: no caller met any trouble" if not unattributed else None
        open_question = open_question or f"nothing to grade: {unattributed} requests with equal bodies ran side by side without a trace id"
    else:
        open_question = "; ".join(missing) or None
    status = merge([*(f.level for f in findings), Status.PASS, *([Status.INCONCLUSIVE] if open_question else [])])
    if status is Status.INCONCLUSIVE or not findings:
        return status, open_question or f"{counted(sum(checked.values()), 'occasion')} to misbehave, none taken"
    worst = next(f for f in findings if f.level is status)
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return status, f"{worst.code} by {worst.caller}: {worst.what}{more}"


def _per_trace(rows: Iterable[Exchange]) -> tuple[float | None, int | None]:
    counts = Counter(r.trace_id for r in rows if r.trace_id)
    return _mean(list(counts.values())), max(counts.values(), default=None)


def _told(attempts: Sequence[Attempt], what: str, origin_s: float) -> str:
    """`llm #12 429, #13 200 at 35.2s: told to wait 1.5s, came back after 0.3s`."""
    shown = list(attempts[:3])
    rows = ", ".join(f"#{a.row.seq} {a.row.status or a.row.ending}" for a in shown)
    more = f" … #{attempts[-1].row.seq} {attempts[-1].row.status or attempts[-1].row.ending}" if len(attempts) > len(shown) else ""
    first = attempts[0].row
    return f"{first.service} {rows}{more}, {first.method} {first.route} at {first.arrived_s - origin_s:.2f}s: {what}"


def _mean(counts: Sequence[int]) -> float | None:
    return stats.rounded(sum(counts) / len(counts)) if counts else None
