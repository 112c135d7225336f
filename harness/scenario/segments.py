"""The stretches that a load's shape is made of, as the scenario file has them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.scenario.fields import Model, PositiveDuration, Rate, Weight

TraceFormat = Literal["azure", "burstgpt", "mooncake", "record"]
SHAPES = ("constant", "soak", "poisson", "gamma", "ramp", "steps", "spike", "sine", "sweep", "trace")


class Ramp(Model):
    """From one rate to another, linearly."""

    from_: Rate = Field(alias="from")
    to: Rate


class Spike(Model):
    """A base rate with a peak in the middle third of the segment."""

    base: Rate
    peak: Rate


class Steps(Model):
    """From one rate to another in steps of equal length and height."""

    from_: Rate = Field(alias="from")
    to: Rate
    steps: Annotated[int, Field(ge=2, le=100)]


class Sweep(Model):
    """Steps of equal length, each higher than the one before by the same factor: where does the system saturate?"""

    from_: Rate = Field(alias="from")
    to: Rate
    steps: Annotated[int, Field(ge=3, le=100)] = 8

    @model_validator(mode="after")
    def _upwards(self) -> Self:
        if not 0 < self.from_ < self.to:
            raise ValueError("a sweep goes upwards from a rate above zero; write {from: 5/s, to: 100/s, steps: 8}")
        return self


class Sine(Model):
    """A rate that swings: mean + amplitude x sin(2 pi t / period), as days do."""

    mean: Rate
    amplitude: Rate
    period: PositiveDuration

    @model_validator(mode="after")
    def _not_below_zero(self) -> Self:
        if self.amplitude > self.mean:
            raise ValueError(f"the amplitude {self.amplitude:g}/s is above the mean {self.mean:g}/s, and no rate is below zero; lower it")
        return self


class Gamma(Model):
    """Gaps drawn from a gamma distribution of that shape, as in vLLM's benchmark: below 1 in bursts, 1 Poisson, above 1 more even."""

    rate: Rate
    burstiness: Annotated[float, Field(ge=0.01, le=100)]


class TraceUse(Model):
    """Arrivals as they were recorded elsewhere. `azure` (TIMESTAMP), `burstgpt` (Timestamp, in seconds), `mooncake` (JSON lines with
    `timestamp` in ms), or `record`: the directory of a run, whose journeys are replayed, too."""

    file: str
    format: TraceFormat
    speed: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = Field(default=1.0, description="2 plays it in half the time")


class Segment(Model):
    """A stretch of the load: exactly one of the shapes. Without `for` it takes what is left of the phases."""

    constant: Rate | None = None
    soak: Rate | None = Field(default=None, description="constant, for as long as leaks and drift take to show")
    poisson: Rate | None = None
    gamma: Gamma | None = None
    ramp: Ramp | None = None
    steps: Steps | None = None
    spike: Spike | None = None
    sine: Sine | None = None
    sweep: Sweep | None = None
    trace: TraceUse | None = None
    for_s: PositiveDuration | None = Field(default=None, alias="for")
    mix: Annotated[dict[str, Weight], Field(min_length=1)] | None = Field(
        default=None, description="journey weights of this stretch; default: the load's"
    )

    @property
    def kind(self) -> str:
        """Which of SHAPES it is."""
        return next(name for name in SHAPES if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        given = [name for name in SHAPES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a segment has exactly one of {', '.join(SHAPES)}; this one has {', '.join(given) or 'none'}")
        return self
