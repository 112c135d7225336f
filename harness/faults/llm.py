"""Faults of an LLM provider, played by its mock over an admin API that the stack cannot see."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from pydantic import Field

from harness.faults.admin_client import call
from harness.faults.base import Context, Evidence, FaultError, Parameters, Target, TargetedFault, Undo, capability
from harness.faults.chat_probe import ChatAnswer, ChatProbe, ChatProbeError
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration, Rate
from harness.stack.base import AdminApi, KeyedProviders, Programmable, StackError

FAULTS_PATH = "/admin/faults"
ANSWER_TIMEOUT_S = 5.0
CLEARLY = 0.9  # of the time to the first token asked for, at least, must show

PROVIDERS = ("llm", "llm_fallback")
SWITCHED_AWAY = ("switch_provider", "failover")
"""What helps when the provider is at fault: asking another."""


class ProviderFault(TargetedFault[Parameters]):
    """A fault in the mock's table, and the harness's own requests that prove it.

    Those alone are no proof: a fault on a provider that nobody else calls breaks nothing. So the mock must also have applied it more often
    than the harness has asked.
    """

    def __init__(self, target: Target, parameters: Parameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self._asked = 0
        self._asked_before = 0  # requests of our own before the fault was set
        self._chat: ChatProbe | None = None

    def undo(self) -> Sequence[Undo]:
        api = self._api()
        return (Undo("http", {"method": "DELETE", "url": api.url.rstrip("/") + self._path, "token": api.token}),)

    def heal(self) -> None:
        self._call("DELETE", self._path)

    def put(self, document: dict[str, Any]) -> None:
        """Set the fault; it ends by itself should everybody who could take it back be gone."""
        self._asked_before = self._asked
        self._call("PUT", self._path, {**document, "ttl_s": self.context.ttl_s})

    def entry(self) -> dict[str, Any] | None:
        """The fault as the mock knows it; None when it does not."""
        return next((entry for entry in self._call("GET", FAULTS_PATH)["faults"] if entry["id"] == self.context.fault_id), None)

    def applied_to_others(self, entry: dict[str, Any] | None) -> int:
        """How many requests of anybody else it has certainly hit."""
        return max(0, int(entry["applied"]) - (self._asked - self._asked_before)) if entry else 0

    def ask(self, timeout_s: float) -> ChatAnswer:
        """One request of our own, each with another text: what is drawn by request is drawn anew. Raises FaultError."""
        self._asked += 1
        if self._chat is None:
            instance = self.context.stack.instances(self.target.service)[0]
            stack = self.context.stack
            self._chat = ChatProbe(instance.url, self.context.clock, stack.provider_key if isinstance(stack, KeyedProviders) else None)
        try:
            return self._chat.ask(f"Are you there? ({self.context.fault_id} {self._asked})", timeout_s)
        except ChatProbeError as error:
            raise FaultError(f"asking {self.target.service}: {error}") from error

    @property
    def _path(self) -> str:
        return f"{FAULTS_PATH}/{self.context.fault_id}"

    def _api(self) -> AdminApi:
        try:
            return capability(self.context.stack, Programmable).admin(self.target.service)
        except StackError as error:
            raise FaultError(str(error)) from error

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            return call(self._api(), method, path, body)
        except ConnectionRefusedError as error:
            raise FaultError(f"the admin API of {self.target.service} does not listen: {error}") from error


class SlowFirstTokenParameters(FaultParameters):
    """Parameters of `llm.slow_first_token`."""

    ttft: Duration = Field(description="time from a request to its first token", ge=0.05, le=300.0, json_schema_extra={"unit": "duration"})
    probability: float = Field(
        default=1.0, description="share of requests, drawn for each", gt=0, le=1, json_schema_extra={"unit": "ratio"}
    )


class SlowFirstToken(ProviderFault[SlowFirstTokenParameters]):
    """The provider thinks for long before it says anything; tokens then come at their usual pace."""

    spec = FaultSpec(
        name="llm.slow_first_token",
        summary="The provider takes that long to its first token; the tokens after it keep their pace.",
        kind="latency",
        parameters=SlowFirstTokenParameters,
        targets=("service",),
        needs=("Programmable",),
        evidence="the mock applied it to others, the harness's own streamed request waits that long; gone: not listed, its request is fast",
        example="{id: slow-llm, type: llm.slow_first_token, target: llm, at: fault, for: 40s, with: {ttft: 4s}}",
        recoverable_by=SWITCHED_AWAY,
        only_services=PROVIDERS,
    )
    _healthy_s = 0.0

    def inject(self) -> None:
        """Measures the healthy provider first: what is not slower than that could not be told from it."""
        if self.entry() is None:
            self._healthy_s = self.ask(ANSWER_TIMEOUT_S).ttft_s or self._healthy_s
        if self.parameters.ttft <= 1.5 * self._healthy_s:
            raise FaultError(f"ttft {self.parameters.ttft:g} s is hardly slower than the healthy {self._healthy_s:.3f} s; ask for more")
        self.put({"type": "slow_first_token", "ttft_s": self.parameters.ttft, "probability": self.parameters.probability})

    def verify(self) -> Evidence | None:
        ttft_s = self.ask(self.parameters.ttft + ANSWER_TIMEOUT_S).ttft_s
        others = self.applied_to_others(self.entry())
        if ttft_s is None or ttft_s < CLEARLY * self.parameters.ttft or not others:
            return None
        return {"ttft_s": ttft_s, "asked_s": self.parameters.ttft, "healthy_s": self._healthy_s, "applied_to_others": others}

    def gone(self) -> Evidence | None:
        if self.entry() is not None:
            return None
        ttft_s = self.ask(self.parameters.ttft + ANSWER_TIMEOUT_S).ttft_s
        if ttft_s is None or ttft_s > (self._healthy_s + self.parameters.ttft) / 2:
            return None
        return {"ttft_s": ttft_s, "healthy_s": self._healthy_s}


class RateLimitedParameters(FaultParameters):
    """Parameters of `llm.rate_limited`."""

    rate: Rate = Field(description="requests that the provider admits on average", gt=0, json_schema_extra={"unit": "rate"})
    burst: int | None = Field(
        default=None,
        description="requests admitted at once; default: a second's worth",
        ge=1,
        le=100_000,
        json_schema_extra={"unit": "requests"},
    )

    @property
    def bucket(self) -> int:
        """Size of the token bucket."""
        return self.burst or max(1, ceil(self.rate))


class RateLimited(ProviderFault[RateLimitedParameters]):
    """The provider refuses what exceeds a quota, and says honestly when to come back."""

    spec = FaultSpec(
        name="llm.rate_limited",
        summary="The provider admits that many requests a second; the others get 429 with an honest Retry-After.",
        kind="rate_limit",
        parameters=RateLimitedParameters,
        targets=("service",),
        needs=("Programmable",),
        evidence="others were refused, and the harness's own request is, with Retry-After; gone: not listed, its request is served",
        example="{id: limited, type: llm.rate_limited, target: llm, at: fault, for: 40s, with: {rate: 2/s, burst: 2}}",
        recoverable_by=SWITCHED_AWAY,
        only_services=PROVIDERS,
    )

    def inject(self) -> None:
        self.put({"type": "rate_limited", "requests_per_s": self.parameters.rate, "burst": float(self.parameters.bucket)})

    def verify(self) -> Evidence | None:
        """One request a look: under a load above the rate it is refused and takes no token; without load, looks empty the bucket."""
        answer = self.ask(ANSWER_TIMEOUT_S)
        others = self.applied_to_others(self.entry())
        if answer.status != 429 or answer.retry_after is None or not others:
            return None
        return {"status": 429, "retry_after": answer.retry_after, "applied_to_others": others}

    def gone(self) -> Evidence | None:
        if self.entry() is not None:
            return None
        answer = self.ask(ANSWER_TIMEOUT_S)
        return {"status": 200, "ttft_s": answer.ttft_s} if answer.status == 200 and answer.ttft_s is not None else None


FAULTS = (SlowFirstToken, RateLimited)
