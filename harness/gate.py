"""Policy: from results to one verdict and one exit code.

FAIL > INCONCLUSIVE > WARN > PASS. Without `gate:` every check must pass. With it, objectives are weighed as Keptn does (pass counts its
weight, warn half of it, fail nothing), and everything else - expectations, safety, validity, key objectives - still stands for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.scenario.model import Gate, Scenario
from harness.score.check import Result, Status, merge

EXIT_PASS = 0
EXIT_FAIL = 1
EXIT_INCONCLUSIVE = 3
# Groups by which a scenario asks something; validity and safety alone assert nothing.
ASSERTED = ("objective", "expect", "compare", "burn_rate", "probe", "reliability")
_POINTS = {Status.PASS: 1.0, Status.WARN: 0.5, Status.FAIL: 0.0}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One run's verdict. `score` is the weighed share (0..1) of the objectives, None without a gate or where it cannot be told."""

    status: Status
    exit_code: int
    reason: str
    results: tuple[Result, ...]
    score: float | None = None

    def outranks(self, other: Verdict) -> bool:
        """Is this one the worse of the two?"""
        return self.status is not other.status and merge([self.status, other.status]) is self.status

    def to_json(self) -> dict[str, Any]:
        """A stable, JSON-ready document."""
        return {
            "verdict": self.status.value,
            "exit_code": self.exit_code,
            "reason": self.reason,
            "score": self.score,
            "checks": [result.to_json() for result in self.results],
        }


def compared(results: Sequence[Result], *, strict: bool = False) -> Verdict:
    """The verdict of a comparison: every metric must pass; nothing compared is INCONCLUSIVE."""
    status = merge(r.status for r in results)
    reason = _worst(status, results) if results else "nothing was compared"
    return _verdict(status, reason, results, None, strict)


def decide(results: Sequence[Result], scenario: Scenario, *, strict: bool = False) -> Verdict:
    """The verdict of one run. With `strict`, WARN exits with 1."""
    gate = scenario.gate
    if not any(r.group in ASSERTED for r in results):
        crash = next((r.reason for r in results if r.name.endswith(".crashed")), None)
        reason = crash or "nothing was asserted: the scenario has neither objectives nor expectations"
        return _verdict(merge([Status.INCONCLUSIVE, *(r.status for r in results)]), reason, results, None, strict)
    if gate is None:
        status = merge(r.status for r in results)
        return _verdict(status, _worst(status, results), results, None, strict)
    return _weighed(results, _with_objectives(gate, scenario), strict)


def _with_objectives(gate: Gate, scenario: Scenario) -> Gate:
    """The gate with what the objectives themselves say of their weights, and of being key."""
    asked = {f"{phase}.{of.text}": objective for phase in scenario.objectives for of, objective in scenario.asked(phase)}
    weights = {name: objective.weight for name, objective in asked.items() if objective.weight is not None}
    key = [name for name, objective in asked.items() if objective.key and name not in gate.key]
    return gate.model_copy(update={"weights": {**gate.weights, **weights}, "key": [*gate.key, *key]})


def _weighed(results: Sequence[Result], gate: Gate, strict: bool) -> Verdict:
    objectives = [r for r in results if r.group == "objective"]
    alone = [r for r in results if r.group != "objective" or r.name in gate.key]
    missing = [f"key objective {name} was not judged" for name in gate.key if all(name != r.name for r in objectives)]
    score, status, why = _score(objectives, gate)
    merged = merge([status, *(r.status for r in alone), *(Status.INCONCLUSIVE for _ in missing)])
    if merged is status:
        return _verdict(merged, why, results, score, strict)
    reason = missing[0] if missing and merged is Status.INCONCLUSIVE else _worst(merged, alone)
    return _verdict(merged, reason, results, score, strict)


def _score(objectives: Sequence[Result], gate: Gate) -> tuple[float | None, Status, str]:
    if not objectives:
        return None, Status.INCONCLUSIVE, "the gate weighs objectives, and there are none"
    unknown = [r.name for r in objectives if r.status is Status.INCONCLUSIVE]
    if unknown:
        return None, Status.INCONCLUSIVE, f"the score contains objectives that are INCONCLUSIVE: {', '.join(unknown)}"
    weights = {r.name: gate.weights.get(r.name, 1.0) for r in objectives}
    points = sum(weights[r.name] * _POINTS[r.status] for r in objectives)
    score = round(points / sum(weights.values()), 9)
    told = f"score {score:.4g} of the objectives (pass {gate.pass_}, warn {gate.warn})"
    if score >= _ratio(gate.pass_):
        return score, Status.PASS, told
    return score, Status.WARN if score >= _ratio(gate.warn) else Status.FAIL, told


def _ratio(percentage: str) -> float:
    return round(float(percentage.strip().removesuffix("%")) / 100.0, 9)


def _worst(status: Status, results: Sequence[Result]) -> str:
    if status is Status.PASS:
        return f"all {len(results)} checks pass"
    worst = [r for r in results if r.status is status]
    more = f" (and {len(worst) - 1} more)" if len(worst) > 1 else ""
    return f"{worst[0].name}: {worst[0].reason}{more}"


def _verdict(status: Status, reason: str, results: Sequence[Result], score: float | None, strict: bool) -> Verdict:
    codes = {Status.PASS: EXIT_PASS, Status.WARN: EXIT_FAIL if strict else EXIT_PASS, Status.INCONCLUSIVE: EXIT_INCONCLUSIVE}
    return Verdict(status, codes.get(status, EXIT_FAIL), reason, tuple(results), score)
