"""Three-valued logic of statuses (Kleene), on the order FAIL > INCONCLUSIVE > WARN > PASS.

`and` is the worst, `or` the best of its parts: what is unknown decides nothing that the other parts decide already, and is never a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.scenario.objective import Criteria, Objective
from harness.scenario.units import Limit
from harness.score.check import Result, Status, severity

Judge = Callable[[Limit], Result]  # of one limit; its result says why by itself


def both(*statuses: Status) -> Status:
    """`and`: the worst."""
    return max(statuses, key=severity)


def either(*statuses: Status) -> Status:
    """`or`: the best."""
    return min(statuses, key=severity)


def level(passing: Status, warning: Status) -> Status:
    """Of an objective with two limits: the better level that is shown. What keeps the limit of the warning is WARN at best."""
    return either(passing, both(warning, Status.WARN))


def judge(objective: Objective, one: Judge) -> Result:
    """The result of an objective from those of its limits; where there are several, each is a line of the evidence."""
    results = {limit.text: one(limit) for criteria in _criteria(objective) for limit in criteria.limits}
    passing = _decided(objective.pass_, results)
    if len(results) == 1:
        return passing
    status, reason = passing.status, passing.reason
    if objective.warn is not None and status not in (Status.PASS, Status.WARN):
        warning = _decided(objective.warn, results)
        status, reason = level(passing.status, warning.status), f"pass: {passing.reason}; warn: {warning.reason}"
    told = tuple(f"{r.status.value} {text}: {r.reason}" for text, r in results.items())
    return replace(passing, status=status, limit=objective.pass_.text, reason=reason, evidence=(*told, *passing.evidence))


def _criteria(objective: Objective) -> tuple[Criteria, ...]:
    return (objective.pass_, objective.warn) if objective.warn is not None else (objective.pass_,)


def _decided(criteria: Criteria, results: dict[str, Result]) -> Result:
    """The result that decides: of the best alternative, that of its worst limit. The first of equals."""
    worst = [_first([results[limit.text] for limit in together], both) for together in criteria.alternatives]
    return _first(worst, either)


def _first(results: Sequence[Result], merged: Callable[..., Status]) -> Result:
    status = merged(*(result.status for result in results))
    return next(result for result in results if result.status is status)
