"""When and after how long a call is tried again.

Exponential backoff with full jitter; a server's `Retry-After` comes on top of it, or all that were told the same second would be back
in the same instant; a budget keeps retries a small share of all requests, so that a failing callee is not buried under them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_result
from tenacity.wait import wait_random_exponential

BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 1.0
RETRY_AFTER_MAX_S = 2.0
"""A longer `Retry-After` is not waited for: the answer goes back to the caller, who may know another way."""


class Retryable(Protocol):
    """What an attempt tells the policy."""

    @property
    def retry(self) -> bool:
        """Whether another attempt may help."""

    @property
    def retry_after_s(self) -> float | None:
        """What the callee asked for, if it did."""


class RetryBudget:
    """Token bucket: every call pays in `share`, every retry costs 1; `floor_per_s` flows in anyway, so that a quiet client can retry."""

    def __init__(
        self, *, share: float = 0.2, floor_per_s: float = 1.0, capacity: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._share = share
        self._floor_per_s = floor_per_s
        self._capacity = capacity
        self._clock = clock
        self._tokens = capacity
        self._refilled_s = clock()

    def deposit(self) -> None:
        """A call begins."""
        self._tokens = min(self._capacity, self._tokens + self._share)

    def withdraw(self) -> bool:
        """Pay for one retry; False when the budget is spent."""
        now_s = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now_s - self._refilled_s) * self._floor_per_s)
        self._refilled_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


_backoff = wait_random_exponential(multiplier=BACKOFF_FIRST_S, max=BACKOFF_MAX_S)


def retrying(attempts: int, budget: RetryBudget, on_retry: Callable[[], None]) -> AsyncRetrying:
    """A tenacity controller for coroutines that return a Retryable; it gives back the last one, whatever it was.

    A new one per call: tenacity keeps the state of the iteration on the object.
    """

    def stop(state: RetryCallState) -> bool:
        asked_s = _last_result(state).retry_after_s or 0.0
        return state.attempt_number >= attempts or asked_s > RETRY_AFTER_MAX_S or not budget.withdraw()

    return AsyncRetrying(
        retry=retry_if_result(_wants_retry),
        wait=_wait,
        stop=stop,
        before_sleep=lambda _state: on_retry(),
        retry_error_callback=_last_result,
    )


def parse_retry_after(headers: Mapping[str, str], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Seconds from a `Retry-After` header, in either of its forms; None without one or with nonsense."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - now()).total_seconds())
    except (ValueError, TypeError):  # TypeError: a date without zone
        return None


def _wants_retry(attempt: Retryable) -> bool:
    return attempt.retry


def _wait(state: RetryCallState) -> float:
    return (_last_result(state).retry_after_s or 0.0) + _backoff(state)


def _last_result(state: RetryCallState) -> Any:
    assert state.outcome is not None  # tenacity calls these after an attempt has ended
    return state.outcome.result()
