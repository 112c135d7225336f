"""Truth tables with the third value, and objectives made of several limits."""

from __future__ import annotations

import pytest

from harness.scenario.objective import Objective
from harness.score import logic
from harness.score.check import Result, Status

PASS, WARN, UNKNOWN, FAIL = Status.PASS, Status.WARN, Status.INCONCLUSIVE, Status.FAIL

KLEENE = [  # a, b, a and b, a or b
    (PASS, PASS, PASS, PASS),
    (PASS, UNKNOWN, UNKNOWN, PASS),
    (PASS, FAIL, FAIL, PASS),
    (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    (UNKNOWN, FAIL, FAIL, UNKNOWN),
    (FAIL, FAIL, FAIL, FAIL),
    (PASS, WARN, WARN, PASS),
    (WARN, WARN, WARN, WARN),
    (WARN, UNKNOWN, UNKNOWN, WARN),
    (WARN, FAIL, FAIL, WARN),
]


@pytest.mark.parametrize(("a", "b", "conjunction", "disjunction"), KLEENE)
def test_and_or(a: Status, b: Status, conjunction: Status, disjunction: Status) -> None:
    assert logic.both(a, b) is logic.both(b, a) is conjunction
    assert logic.either(a, b) is logic.either(b, a) is disjunction


LEVELS = [  # the limit of pass, that of warn, the objective
    (PASS, PASS, PASS),
    (PASS, FAIL, PASS),
    (PASS, UNKNOWN, PASS),
    (WARN, PASS, WARN),
    (WARN, FAIL, WARN),
    (FAIL, PASS, WARN),
    (FAIL, WARN, WARN),
    (FAIL, UNKNOWN, UNKNOWN),
    (FAIL, FAIL, FAIL),
    (UNKNOWN, PASS, WARN),  # what it is at least is shown
    (UNKNOWN, UNKNOWN, UNKNOWN),
    (UNKNOWN, FAIL, UNKNOWN),
]


@pytest.mark.parametrize(("passing", "warning", "level"), LEVELS)
def test_the_better_level_that_is_shown(passing: Status, warning: Status, level: Status) -> None:
    assert logic.level(passing, warning) is level
    objective = Objective.model_validate({"pass": "<= 1s", "warn": "<= 2s"})
    found = logic.judge(objective, lambda limit: result(passing if limit.text == "<= 1s" else warning, limit.text))
    assert found.status is level
    assert found.evidence == (f"{passing.value} <= 1s: of <= 1s", f"{warning.value} <= 2s: of <= 2s")


def result(status: Status, limit: str) -> Result:
    return Result("fault.latency_p95", "objective", status, f"of {limit}", limit=limit)


def judged(criteria: str, **statuses: Status) -> Result:
    """Statuses by the seconds of a limit."""
    return logic.judge(Objective.model_validate(criteria), lambda limit: result(statuses[f"s{limit.value:g}"], limit.text))


def test_and_binds_tighter_than_or() -> None:
    criteria = "<= 1s or <= 2s and <= 3s"
    assert judged(criteria, s1=PASS, s2=FAIL, s3=FAIL).status is PASS
    assert judged(criteria, s1=FAIL, s2=PASS, s3=FAIL).status is FAIL
    assert judged(criteria, s1=FAIL, s2=PASS, s3=UNKNOWN).status is UNKNOWN
    assert judged(criteria, s1=FAIL, s2=PASS, s3=PASS).status is PASS


def test_the_limit_that_decides_gives_the_reason() -> None:
    assert judged("<= 1s and <= 2s", s1=PASS, s2=FAIL).reason == "of <= 2s"
    assert judged("<= 1s or <= 2s", s1=UNKNOWN, s2=FAIL).reason == "of <= 1s"


def test_one_limit_is_its_own_result() -> None:
    assert judged("<= 1s", s1=WARN) == result(WARN, "<= 1s")


def test_a_warning_explains_both_limits() -> None:
    objective = Objective.model_validate({"pass": "<= 1s", "warn": "<= 2s"})
    found = logic.judge(objective, lambda limit: result(FAIL if limit.text == "<= 1s" else PASS, limit.text))
    assert (found.status, found.limit, found.reason) == (WARN, "<= 1s", "pass: of <= 1s; warn: of <= 2s")
