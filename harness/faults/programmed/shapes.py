"""When a mock's fault strikes, and whom: parameters that all of them share. Whatever is given has to hold for a request to be hit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from harness.scenario.catalog import FaultParameters
from harness.scenario.fields import Duration, PositiveDuration, Rate


def _unit(text: str) -> dict[str, Any]:
    return {"unit": text}


class Burst(FaultParameters):
    """On and off."""

    interval: PositiveDuration = Field(description="from the beginning of one to the beginning of the next")
    duration: PositiveDuration = Field(description="of each")

    @model_validator(mode="after")
    def _leaves_a_pause(self) -> Self:
        if self.duration >= self.interval:
            raise ValueError(f"burst.duration must be shorter than burst.interval, {self.interval:g}s; without a pause write no burst")
        return self

    def document(self) -> dict[str, Any]:
        return {"interval_s": self.interval, "duration_s": self.duration}


class Window(FaultParameters):
    """Once."""

    start: Duration = Field(default=0.0, description="since injection")
    duration: PositiveDuration = Field(description="how long it holds")

    def document(self) -> dict[str, Any]:
        return {"start_s": self.start, "duration_s": self.duration}


class Ramp(FaultParameters):
    """More and more, or less and less."""

    over: PositiveDuration = Field(description="how long it takes")
    from_: float = Field(default=0.0, alias="from", ge=0, le=1, description="factor of `probability` at injection")
    to: float = Field(default=1.0, ge=0, le=1, description="factor from then on")

    @model_validator(mode="after")
    def _strikes_at_all(self) -> Self:
        if self.from_ == self.to:
            raise ValueError(f"ramp.from and ramp.to are both {self.to:g}; write `probability: {self.to:g}` for a share that stays")
        return self

    def document(self) -> dict[str, Any]:
        return {"over_s": self.over, "from": self.from_, "to": self.to}


class Quota(FaultParameters):
    """Spares what stays within a rate."""

    rate: Rate = Field(gt=0, description="requests spared on average")
    burst: int = Field(default=1, ge=1, le=100_000, description="requests spared at once")

    def document(self) -> dict[str, Any]:
        return {"per_s": self.rate, "burst": self.burst}


class Spans(FaultParameters):
    """Time alone: all that a fault can have which holds between requests."""

    burst: Burst | None = Field(
        default=None,
        description="only for `duration` at the beginning of every `interval`",
        json_schema_extra=_unit("{interval, duration}"),
    )
    window: Window | None = Field(
        default=None, description="only from `start` after injection, for `duration`", json_schema_extra=_unit("{start, duration}")
    )

    def when(self) -> dict[str, Any]:
        """Those that are given, as the mock's document has them."""
        given = {name: getattr(self, name) for name in SHAPES if name in type(self).model_fields and _given(self, name)}
        # a type may have a parameter of its own that is called like a shape, such as the burst of a rate
        return {name: _plain(value) for name, value in given.items() if name != "burst" or isinstance(value, Burst)}


class Timing(Spans):
    """Everything that can be asked of a request."""

    probability: float = Field(
        default=1.0, gt=0, le=1, description="share of the requests, drawn for each", json_schema_extra=_unit("ratio")
    )
    first: int | None = Field(default=None, ge=1, description="only the first so many requests", json_schema_extra=_unit("requests"))
    after: int | None = Field(default=None, ge=0, description="spares the first so many requests", json_schema_extra=_unit("requests"))
    every: int | None = Field(
        default=None, ge=1, description="only every such request: with 4 the 4th, the 8th and so on", json_schema_extra=_unit("requests")
    )
    ramp: Ramp | None = Field(
        default=None,
        description="`probability` times a factor that goes from `from` to `to` within `over`",
        json_schema_extra=_unit("{over, from, to}"),
    )
    quota: Quota | None = Field(
        default=None,
        description="only requests that exceed a bucket of `burst` which fills by `rate`",
        json_schema_extra=_unit("{rate, burst}"),
    )
    count: Literal["all", "request"] = Field(
        default="all", description="what `first`, `after` and `every` count: all requests, or the repetitions of each by itself"
    )

    @model_validator(mode="after")
    def _strikes_at_all(self) -> Self:
        after, every = self.after or 0, self.every or 1
        least = (after // every + 1) * every
        if self.first is not None and self.first < least:
            raise ValueError(f"first: {self.first} with after: {after} and every: {every} never holds; write first: {least} or more")
        if self.count == "request" and self.first is self.after is self.every is None:
            raise ValueError("count: request counts for first, after or every; write one of them, or leave count out")
        return self


SHAPES = ("probability", "first", "after", "every", "burst", "window", "ramp", "quota", "count")


def _given(parameters: FaultParameters, name: str) -> bool:
    return bool(getattr(parameters, name) != type(parameters).model_fields[name].default)


def _plain(value: Any) -> Any:
    return value.document() if isinstance(value, Burst | Window | Ramp | Quota) else value


def attempts(when: Mapping[str, Any]) -> int:
    """How many requests one look may make so that a fault of these shapes is likely to strike one of them."""
    rare = float(when.get("probability", 1.0)) < 1 or any(name in when for name in ("every", "ramp", "quota"))
    return 4 if rare else 1


def repetitions(when: Mapping[str, Any]) -> int:
    """How often the same request has to come until the fault has struck it once, where it counts each by itself."""
    if when.get("count") != "request":
        return 1
    every, after = int(when.get("every", 1)), int(when.get("after", 0))
    return (after // every + 1) * every


def strikes_whoever_comes_early(when: Mapping[str, Any]) -> bool:
    """Whether only requests soon after injection are hit, so that one of our own need not be among them."""
    return "first" in when and when.get("count") != "request"
