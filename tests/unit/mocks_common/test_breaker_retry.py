"""Circuit breaker and retry budget on a fake clock; Retry-After in both forms."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from mocks.rag.common.breaker import CircuitBreaker, CircuitState, Permit
from mocks.rag.common.retry import RetryBudget, parse_retry_after


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def opened(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker("breaker-test", clock=clock)
    for _ in range(5):
        breaker.record(admitted(breaker), ok=False)
    return breaker


def admitted(breaker: CircuitBreaker) -> Permit:
    permit = breaker.admit()
    assert permit is not None
    return permit


def test_opens_after_five_consecutive_failures() -> None:
    breaker = CircuitBreaker("breaker-test", clock=Clock())
    for ok in (False, False, False, False, True, False, False, False, False):
        breaker.record(admitted(breaker), ok=ok)
    assert breaker.state.name == "CLOSED"
    breaker.record(admitted(breaker), ok=False)
    assert breaker.state.name == "OPEN"
    assert not breaker.admit()
    assert REGISTRY.get_sample_value("rag_circuit_state", {"callee": "breaker-test"}) == 2


@pytest.mark.parametrize(("ok", "state"), [(True, CircuitState.CLOSED), (False, CircuitState.OPEN)])
def test_one_probe_decides_after_a_minute(ok: bool, state: CircuitState) -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now_s = 59.9
    assert not breaker.admit()
    assert breaker.retry_after_s == pytest.approx(0.1)
    clock.now_s = 60.0
    probe = admitted(breaker)
    assert [breaker.admit(), breaker.admit()] == [None, None]
    assert breaker.state.name == "HALF_OPEN"
    breaker.record(probe, ok=ok)
    assert breaker.state is state
    assert (breaker.admit() is not None) is ok


def test_abandoned_probe_makes_room_for_another() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now_s = 60.0
    breaker.abandon(admitted(breaker))
    assert breaker.admit()


def test_stragglers_decide_nothing() -> None:
    clock = Clock()
    breaker = CircuitBreaker("breaker-test", clock=clock)
    stragglers = [admitted(breaker) for _ in range(20)]
    for straggler in stragglers[:5]:
        breaker.record(straggler, ok=False)
    breaker.record(stragglers[5], ok=True)
    assert breaker.state.name == "OPEN"
    clock.now_s = 60.0
    probe = admitted(breaker)
    breaker.record(stragglers[6], ok=True)
    breaker.record(stragglers[7], ok=False)
    breaker.abandon(stragglers[8])
    assert (breaker.state.name, breaker.admit()) == ("HALF_OPEN", None)
    breaker.record(probe, ok=True)
    for straggler in stragglers[9:]:
        breaker.record(straggler, ok=False)
    assert breaker.state.name == "CLOSED"


def test_known_recovery_ends_the_open_period() -> None:
    breaker = opened(Clock())
    breaker.probe_soon()
    breaker.record(admitted(breaker), ok=True)
    assert breaker.state.name == "CLOSED"


@given(st.lists(st.booleans(), max_size=300))
def test_budget_bounds_retries_to_a_share_of_the_calls(calls_or_retries: list[bool]) -> None:
    budget = RetryBudget(share=0.2, floor_per_s=0.0, capacity=10.0, clock=Clock())
    calls = retries = 0
    for is_call in calls_or_retries:
        if is_call:
            calls += 1
            budget.deposit()
        else:
            retries += budget.withdraw()
    assert retries <= 10 + 0.2 * calls


def test_budget_floor_flows_in_with_time() -> None:
    clock = Clock()
    budget = RetryBudget(capacity=1.0, clock=clock)
    assert [budget.withdraw(), budget.withdraw()] == [True, False]
    clock.now_s = 1.0
    assert [budget.withdraw(), budget.withdraw()] == [True, False]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("soon", None),
        ("Fri, 02 Jan 2026 00:00:05 GMT", 5.0),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    headers = {} if header is None else {"retry-after": header}
    assert parse_retry_after(headers, lambda: datetime(2026, 1, 2, tzinfo=UTC)) == seconds
