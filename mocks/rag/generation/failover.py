"""Which provider answers: the preferred one, once more where that may help, else the other."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mocks.rag.common.errors import UpstreamError
from mocks.rag.common.metrics import CLIENT_RETRIES
from mocks.rag.common.registry import PROVIDERS, Registry
from mocks.rag.common.retry import RetryBudget
from mocks.rag.generation.provider import Provider, ProviderFailureError

PREFERRED = PROVIDERS[0]
"""An answer of any other provider is degraded, also after a switch."""
ATTEMPTS_PER_PROVIDER = 2
BACKOFF_S = (0.05, 0.2)

T = TypeVar("T")


@dataclass(frozen=True)
class Served(Generic[T]):
    """What the first successful attempt gave, by whom, after how many attempts in all."""

    value: T
    provider: str
    attempts: int

    @property
    def degraded_reasons(self) -> list[str]:
        """The contract's reasons, empty for the preferred path."""
        return [] if self.provider == PREFERRED else ["fallback_provider"]


class Failover:
    """Tries `providers` in the order that the setting `llm_provider` makes: that one first, the others as given."""

    def __init__(self, providers: Sequence[Provider], registry: Registry, rng: random.Random, budget: RetryBudget | None = None) -> None:
        self._providers = providers
        self._registry = registry
        self._rng = rng
        self._budget = budget or RetryBudget()

    async def first(self, attempt: Callable[[Provider], Awaitable[T]]) -> Served[T]:
        """The first success. Raises UpstreamError with the last failure, or at once for a request that no provider would take."""
        self._budget.deposit()
        attempts = 0
        failure: ProviderFailureError | None = None
        for provider in self._order():
            for left in reversed(range(ATTEMPTS_PER_PROVIDER)):
                try:
                    value = await attempt(provider)
                except ProviderFailureError as error:
                    failure = error
                    attempts += error.outcome != "circuit_open"
                else:
                    return Served(value, provider.name, attempts + 1)
                if failure.our_fault:
                    raise _upstream_error(failure)
                if not (left and failure.retry and self._budget.withdraw()):
                    break
                CLIENT_RETRIES.labels(provider.name).inc()
                await asyncio.sleep(self._pause_s(failure))
        if failure is None:
            raise UpstreamError(PREFERRED, "connect_error", "no provider is registered")
        raise _upstream_error(failure)

    def _order(self) -> list[Provider]:
        wanted = self._registry.setting("llm_provider", PREFERRED)
        listed = [provider for provider in self._providers if self._registry.instances(provider.name)]
        return sorted(listed, key=lambda provider: provider.name != wanted)

    def _pause_s(self, failure: ProviderFailureError) -> float:
        """What the provider asked for, if it did, and a draw on top: those told to wait until one moment do not come back in it."""
        return (failure.retry_after_s or 0.0) + self._rng.uniform(*BACKOFF_S)


def _upstream_error(failure: ProviderFailureError) -> UpstreamError:
    error = UpstreamError(failure.provider, failure.outcome, failure.reason)
    if failure.outcome == "rate_limited":
        error.status = 503
        if failure.retry_after_s is not None:
            error.headers["retry-after"] = str(math.ceil(failure.retry_after_s))
    return error
