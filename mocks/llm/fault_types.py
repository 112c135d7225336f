"""The faults that the mock can play: one small class each, found by its type's name."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeVar

from mocks.llm.wire import ProviderError

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"


@dataclass
class Plan:
    """How one request is going to be answered; faults change it before anything is sent.

    Seconds count from the arrival of the request; `headers` go with the answer, also a good one.
    """

    model: str
    ttft_s: float
    itl_s: float
    error: ProviderError | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Fault(Protocol):
    """One fault. Its dataclass fields are its parameters; construction raises ValueError where one is out of range."""

    routes: ClassVar[frozenset[str]]
    """The routes whose requests it can change."""

    def apply(self, plan: Plan, now_s: float) -> bool:
        """Change `plan` for a request that arrives at `now_s` (monotonic); whether the client's answer is any different for it."""
        ...


FAULT_TYPES: dict[str, type[Fault]] = {}

_Kind = TypeVar("_Kind", bound=type[Fault])


def fault_type(name: str) -> Callable[[_Kind], _Kind]:
    """Class decorator: make a fault known to the admin API as `name`."""

    def register(kind: _Kind) -> _Kind:
        FAULT_TYPES[name] = kind
        return kind

    return register


@fault_type("slow_first_token")
@dataclass
class SlowFirstToken:
    """The first token comes `ttft_s` after the request instead of when the profile says; the tokens after it keep their pace."""

    routes: ClassVar[frozenset[str]] = frozenset({CHAT})
    ttft_s: float

    def __post_init__(self) -> None:
        _positive("ttft_s", self.ttft_s)

    def apply(self, plan: Plan, now_s: float) -> bool:  # noqa: ARG002 - the same at any time
        """Move the first token."""
        plan.ttft_s = self.ttft_s
        return True


@fault_type("rate_limited")
@dataclass
class RateLimited:
    """An honest token bucket: `requests_per_s` on average, `burst` at once; a refusal says when the next request would be admitted.

    Limits are kept per model, as the provider keeps them; requests for embeddings, another model, are not counted.
    """

    routes: ClassVar[frozenset[str]] = frozenset({CHAT})
    requests_per_s: float
    burst: float = 1.0
    _available: float = field(init=False)
    _seen_s: float | None = field(init=False, default=None)

    _ROUNDING: ClassVar[float] = 1e-6  # of a request: who waits as long as it was told is never refused over float arithmetic

    def __post_init__(self) -> None:
        _positive("requests_per_s", self.requests_per_s)
        if self.burst < 1:
            raise ValueError(f"burst must be at least 1, not {self.burst:g}")
        self._available = self.burst

    def apply(self, plan: Plan, now_s: float) -> bool:
        """Admit the request and say what is left, or refuse it and say how long to wait."""
        elapsed_s = 0.0 if self._seen_s is None else max(0.0, now_s - self._seen_s)
        self._seen_s = now_s
        self._available = min(self.burst, self._available + elapsed_s * self.requests_per_s)
        admitted = self._available >= 1 - self._ROUNDING
        if admitted:
            self._available = max(0.0, self._available - 1)
        plan.headers.update(self._quota())
        if not admitted:
            plan.error = self._refusal(plan.model, (1 - self._available) / self.requests_per_s)
        return not admitted

    def _quota(self) -> dict[str, str]:
        return {
            "x-ratelimit-limit-requests": str(self._per_minute()),
            "x-ratelimit-remaining-requests": str(int(self._available + self._ROUNDING)),
            "x-ratelimit-reset-requests": spell_duration((self.burst - self._available) / self.requests_per_s),
        }

    def _refusal(self, model: str, wait_s: float) -> ProviderError:
        limit = self._per_minute()
        message = (
            f"Rate limit reached for {model} in organization org-gauntlet on requests per min (RPM): Limit {limit}, Used {limit}, "
            f"Requested 1. Please try again in {spell_duration(wait_s)}. "
            "Visit https://platform.openai.com/account/rate-limits to learn more."
        )
        headers = {"retry-after": str(math.ceil(wait_s)), "retry-after-ms": str(math.ceil(wait_s * 1_000))}
        return ProviderError(429, message, "requests", None, "rate_limit_exceeded", headers)

    def _per_minute(self) -> int:
        return max(1, round(self.requests_per_s * 60))


def spell_duration(seconds: float) -> str:
    """A duration as the provider writes it, rounded up: `12ms`, `1s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1_000)}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be more than 0, not {value:g}")
