"""Circuit breaker and retry budget on a fake clock; Retry-After in both forms."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from mocks.rag.common.breaker import CircuitBreaker, CircuitState
from mocks.rag.common.retry import RetryBudget, parse_retry_after


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def opened(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker("breaker-test", clock=clock)
    for _ in range(5):
        assert breaker.admit()
        breaker.record(ok=False)
    return breaker


def test_opens_after_five_consecutive_failures() -> None:
    breaker = CircuitBreaker("breaker-test", clock=Clock())
    for ok in (False, False, False, False, True, False, False, False, False):
        breaker.record(ok=ok)
    assert breaker.state.name == "CLOSED"
    breaker.record(ok=False)
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
    assert [breaker.admit(), breaker.admit(), breaker.admit()] == [True, False, False]
    assert breaker.state.name == "HALF_OPEN"
    breaker.record(ok=ok)
    assert breaker.state is state
    assert breaker.admit() is ok


def test_abandoned_probe_makes_room_for_another() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now_s = 60.0
    assert breaker.admit()
    breaker.abandon()
    assert breaker.admit()


def test_straggler_does_not_close_an_open_circuit() -> None:
    breaker = opened(Clock())
    breaker.record(ok=True)
    assert breaker.state.name == "OPEN"


def test_known_recovery_ends_the_open_period() -> None:
    breaker = opened(Clock())
    breaker.probe_soon()
    assert breaker.admit()
    breaker.record(ok=True)
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
