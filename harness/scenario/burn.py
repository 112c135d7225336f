"""Burn-rate rules: two windows over which an error budget must burn faster than a factor before the rule fires.

The rule is that of the SRE workbook ("Alerting on SLOs", multiwindow, multi-burn-rate alerts): it fires while the error ratio exceeds
factor x (1 - SLO) over the long and over the short window. `time_scale` of the scenario divides both windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from harness.scenario.fields import LimitText, Model, PositiveDuration
from harness.scenario.indicator import Indicator, indicator
from harness.scenario.slis import SliName
from harness.scenario.units import Limit

SHORT_OF_LONG = 12.0  # the workbook's short window is a twelfth of the long one
MIN_EVENTS = 5
_Phase = Literal["warmup", "steady_state", "fault", "recovery", "cooldown"]


class BurnRate(Model):
    """`{id: fast, objective: {availability: ">= 99%"}, long: 1h, factor: 14.4, fires: never}`."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    objective: dict[Annotated[str, AfterValidator(lambda text: indicator(text).text)], LimitText] = Field(min_length=1, max_length=1)
    long: PositiveDuration = Field(description="before `time_scale`")
    short: PositiveDuration | None = Field(default=None, description="before `time_scale`; default: a twelfth of `long`")
    factor: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(description="burn rate above which it fires, in both windows")
    min_events: Annotated[int, Field(ge=1)] = Field(
        default=MIN_EVENTS, description="bad requests in the short window, without which it is silent"
    )
    fires: str = Field(default="never", description="the id of the fault during which it must fire, or never")
    within: LimitText | None = Field(default=None, description="from the onset of that fault to the firing")
    phases: list[_Phase] = Field(default_factory=list, description="in which it must be silent; default: all but warmup")

    @property
    def of(self) -> Indicator:
        """What burns the budget."""
        return indicator(next(iter(self.objective)))

    @property
    def limit(self) -> Limit:
        return next(iter(self.objective.values()))

    @property
    def budget(self) -> float:
        """The share of requests that may be bad."""
        return budget(self.of.sli, self.limit)

    @property
    def threshold(self) -> float:
        """The error ratio above which it fires."""
        return round(self.factor * self.budget, 12)

    def windows_s(self, time_scale: float) -> tuple[float, float]:
        """The long and the short window as they are played."""
        return self.long / time_scale, (self.short if self.short is not None else self.long / SHORT_OF_LONG) / time_scale

    def fires_after_s(self, time_scale: float, error_ratio: float = 1.0) -> float:
        """Seconds from the onset of a constant error ratio, with none before: threshold / ratio x long, until the long window holds enough.

        Infinite where the ratio does not exceed the threshold.
        """
        return self.threshold / error_ratio * self.windows_s(time_scale)[0] if error_ratio > self.threshold else float("inf")

    def quiet_in(self, phases: Iterable[str]) -> list[str]:
        """Of those phases, the ones in which it must be silent."""
        return [phase for phase in phases if (phase in self.phases if self.phases else phase != "warmup")]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.short is not None and self.short >= self.long:
            raise ValueError("the short window is no shorter than the long one; write a short one of about a twelfth, or leave it out")
        if self.fires == "never" and self.within is not None:
            raise ValueError("a rule that never fires has no time to fire within; name the fault in `fires`, or leave `within` out")
        if self.fires != "never" and self.phases:
            raise ValueError("a rule that fires during a fault is looked at there; leave `phases` out")
        return self


def budget(sli: SliName, limit: Limit) -> float:
    """1 - SLO: of a percentile what may lie beyond it, of a share what may be bad."""
    if sli.percentile:
        return round(1.0 - (sli.argument or 0.0) / 100.0, 12)
    return round(1.0 - limit.value if sli.good == "higher" else limit.value, 12)
