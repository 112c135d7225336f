"""Faults of time: the wall clock of one instance is wrong, becomes wrong, or runs at another pace. Its monotonic clock stays true."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

from pydantic import Field, field_validator

from harness.faults.base import Context, Evidence, FaultError, Target, TargetedFault, act, capability, instance_of
from harness.faults.http_look import LookError, ask
from harness.faults.process import pick_instance
from harness.record.clock import utc_now
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.units import duration_s
from harness.stack.base import Clocked

DATE_GRAIN_S = 2.5
"""An HTTP date has whole seconds, servers renew it once a second, and the fault reads its file once a second."""
LEAST_OFFSET_S = 10.0

Parameters = TypeVar("Parameters", bound=FaultParameters)


def signed_duration_s(value: object) -> float:
    """`5m`, `-30s`: seconds. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip()
    sign = -1.0 if text.startswith("-") else 1.0
    return sign * duration_s(text.lstrip("+-"))


class ClockFault(TargetedFault[Parameters], Generic[Parameters]):
    """The clock of one instance. What it is can be read from outside: every HTTP answer is dated (RFC 9110, 6.6.1)."""

    def __init__(self, target: Target, parameters: Parameters, context: Context) -> None:
        super().__init__(pick_instance(target, context), parameters, context)
        assert self.target.instance is not None, "just picked"
        self.name: str = self.target.instance

    def heal(self) -> None:
        self.set(0.0, 1.0)

    def gone(self) -> Evidence | None:
        ahead_s = self.ahead_s()
        return {"instance": self.name, "ahead_s": ahead_s} if ahead_s is not None and abs(ahead_s) <= DATE_GRAIN_S else None

    def set(self, offset_s: float, rate: float) -> None:
        """Raises FaultError."""
        act(f"setting the clock of {self.name}", lambda: capability(self.context.stack, Clocked).set_clock(self.name, offset_s, rate))

    def ahead_s(self) -> float | None:
        """How far the instance's clock is ahead of ours, by the date of an answer; None without one. Raises FaultError."""
        instance = instance_of(self.context.stack, self.name, self.target.service)
        try:
            answer = ask(f"{instance.url}/health", self.context.clock)
        except LookError as error:
            raise FaultError(str(error)) from error
        date = answer.headers.get("date")
        return None if date is None else (parsedate_to_datetime(date) - utc_now()).total_seconds()


class OffsetParameters(FaultParameters):
    """Parameters of `clock.skew` and `clock.jump`."""

    offset: float = Field(description="ahead of the true time; negative: behind", json_schema_extra={"unit": "duration"})

    @field_validator("offset", mode="before")
    @classmethod
    def _duration(cls, value: object) -> float:
        return signed_duration_s(value)

    @field_validator("offset")
    @classmethod
    def _shows(cls, value: float) -> float:
        if abs(value) < LEAST_OFFSET_S:
            raise ValueError(f"offset must be at least {LEAST_OFFSET_S:g}s either way, or it could not be told from the grain of a date")
        return value


class ClockSkew(ClockFault[OffsetParameters]):
    """The clock is wrong from the start of the process."""

    spec = FaultSpec(
        name="clock.skew",
        summary="Restarts one instance with a wall clock that is ahead, or behind, by that much.",
        kind="clock",
        parameters=OffsetParameters,
        targets=("service", "instance"),
        needs=("Clocked",),
        evidence="the date of its answers is off by the offset; gone: it is right",
        example="{id: skewed, type: clock.skew, target: gateway, at: fault, for: 30s, with: {offset: 2h}}",
        recoverable_by=("failover",),
        only_roles=("http",),
    )

    def inject(self) -> None:
        self.set(self.parameters.offset, 1.0)

    def verify(self) -> Evidence | None:
        ahead_s = self.ahead_s()
        if ahead_s is None or abs(ahead_s - self.parameters.offset) > DATE_GRAIN_S:
            return None
        return {"instance": self.name, "ahead_s": ahead_s, "asked_s": self.parameters.offset}


class ClockJump(ClockSkew):
    """The clock steps while the process runs."""

    spec = FaultSpec(
        name="clock.jump",
        summary="The wall clock of one instance steps by that much while it runs (which is restarted once before, with a true clock).",
        kind="clock",
        parameters=OffsetParameters,
        targets=("service", "instance"),
        needs=("Clocked",),
        evidence="the date of its answers is off by the offset; gone: it is right",
        example="{id: stepped, type: clock.jump, target: gateway, at: fault, for: 30s, with: {offset: -1h}}",
        recoverable_by=("failover",),
        only_roles=("http",),
    )

    def inject(self) -> None:
        self.set(0.001, 1.0)  # as good as true: from here on it follows
        self.set(self.parameters.offset, 1.0)


class DriftParameters(FaultParameters):
    """Parameters of `clock.drift`."""

    rate: float = Field(description="seconds of its clock for each true one", ge=0.1, le=100.0, json_schema_extra={"unit": "ratio"})

    @field_validator("rate")
    @classmethod
    def _shows(cls, value: float) -> float:
        if 0.5 < value < 2.0:
            raise ValueError("rate must be at most 0.5 or at least 2: a slower drift does not show within a fault's time")
        return value


class ClockDrift(ClockFault[DriftParameters]):
    """The clock runs too fast, or too slowly."""

    spec = FaultSpec(
        name="clock.drift",
        summary="The wall clock of one instance runs that many times as fast (the instance is restarted once, when it begins).",
        kind="clock",
        parameters=DriftParameters,
        targets=("service", "instance"),
        needs=("Clocked",),
        evidence="the date of its answers departs from the true time, more at every look; gone: it is right",
        example="{id: drifting, type: clock.drift, target: gateway, at: fault, for: 60s, with: {rate: 10}}",
        recoverable_by=("failover",),
        only_roles=("http",),
    )

    def inject(self) -> None:
        self.set(0.0, self.parameters.rate)

    def verify(self) -> Evidence | None:
        ahead_s = self.ahead_s()
        faster = self.parameters.rate > 1
        if ahead_s is None or abs(ahead_s) <= 2 * DATE_GRAIN_S or (ahead_s > 0) is not faster:
            return None
        return {"instance": self.name, "ahead_s": ahead_s, "rate": self.parameters.rate}


FAULTS = (ClockSkew, ClockJump, ClockDrift)
