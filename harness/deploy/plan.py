"""What a deploy file says: which change, how it is rolled out, and by what it is stopped."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.scenario.comparison import MetricText
from harness.scenario.fields import LimitText, Model, PositiveDuration, Rate
from harness.scenario.model import FaultUse
from harness.scenario.system import StackSpec

COMPARED_PHASE = "fault"  # what a comparison is to the faults that both versions have meanwhile
Strategy = Literal["blue_green", "canary", "rolling"]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
Journey = Annotated[str, Field(pattern=r"^(ask|ask_stream|search)$")]
_MIX = {"ask": 7.0, "ask_stream": 3.0}


class Change(Model):
    """The new version: what it calls itself, and what is different of it. What is not named is as the old version has it."""

    version: Version
    environment: dict[str, dict[str, str]] = Field(default_factory=dict, description="by service of the stack")
    replicas: dict[str, Annotated[int, Field(ge=1, le=8)]] = Field(default_factory=dict)


class Users(Model):
    """Who is served meanwhile: a continuous open load, so that a request that a switch loses is seen and not sampled."""

    rate: Rate = 40.0
    mix: dict[Journey, Annotated[float, Field(gt=0)]] = Field(default_factory=lambda: dict(_MIX), min_length=1)
    timeout: PositiveDuration = 10.0


class Smoke(Model):
    """Questions with known answers, to the new version alone, before any user meets it."""

    questions: Annotated[int, Field(ge=5, le=500)] = 20
    right: Annotated[float, Field(gt=0, le=1)] = Field(default=0.9, description="share that must be answered rightly")


class Verify(Model):
    """Both versions under the same load, side by side, compared as `gauntlet compare` does."""

    length: PositiveDuration = 60.0
    rate: Rate = 40.0
    metrics: dict[str, MetricText] = Field(min_length=1)
    faults: list[FaultUse] = Field(default_factory=list, description="as in a scenario; both versions have them at the same time")

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.length < 25.0:
            raise ValueError("length: under 25s nothing is concluded of a comparison; write 60s or more")
        return self


class Memory(Model):
    """How much each request may leave behind: the slope of resident memory against requests served, service by service."""

    length: PositiveDuration = 30.0
    rate: Rate = 60.0
    per_request_kib: Annotated[float, Field(gt=0, le=10_240)] = 16.0


class CanarySteps(Model):
    """Shares of the traffic in turn; each is held for `hold`, and judged."""

    weights: list[Annotated[float, Field(gt=0, le=100)]] = Field(default_factory=lambda: [5.0, 25.0, 50.0, 100.0], min_length=1)
    hold: PositiveDuration = 60.0

    @model_validator(mode="after")
    def _rises_to_all(self) -> Self:
        if self.weights != sorted(set(self.weights)) or self.weights[-1] != 100.0:
            raise ValueError("weights rise, and end with 100: that is when everybody is served by the new version; write [5, 25, 50, 100]")
        return self


class RollingSteps(Model):
    """Which services, and how many instances of one may be out at a time."""

    services: list[str] = Field(min_length=1)
    max_unavailable: Annotated[int, Field(ge=1, le=8)] = 1
    pause: PositiveDuration = Field(default=8.0, description="after each batch; users are watched in it")


class Proof(Model):
    """When it is believed who serves: so many answers in a row, on every route that users use."""

    answers: Annotated[int, Field(ge=20, le=10_000)] = 100
    within: PositiveDuration = 60.0


class DeployPlan(Model):
    """One deploy."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    stack: StackSpec = Field(default_factory=StackSpec)
    base: Version = Field(default="1.0.0", description="the version that is served where no site stands yet")
    change: Change
    users: Users = Field(default_factory=Users)
    smoke: Smoke | None = Field(default_factory=Smoke)
    verify: Verify | None = None
    memory: Memory | None = None
    canary: CanarySteps = Field(default_factory=CanarySteps)
    rolling: RollingSteps | None = None
    compare: dict[str, MetricText] = Field(
        default_factory=dict, description="canary: what is compared at every step; of availability, latency_p50, latency_p95, latency_p99"
    )
    bake: PositiveDuration = Field(default=15.0, description="how long users are watched after the last step")
    objectives: dict[str, LimitText] = Field(min_length=1, description="what users must see after each step, by SLI")
    drain: PositiveDuration = 30.0
    proof: Proof = Field(default_factory=Proof)
    seed: Annotated[int, Field(ge=0)] = 1

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.change.version == self.base:
            raise ValueError(f"change.version and base are both {self.base}: who answers could not be told; name another version")
        return self
