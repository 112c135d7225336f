"""What ends a run early, and how its objectives add up."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from harness.scenario import units
from harness.scenario.fields import Duration, Model, Percent, PositiveDuration, Weight
from harness.scenario.indicator import Indicator, indicator


class AbortRule(Model):
    """`{availability: "< 50%", for: 10s}`: stop the run when it has held that long. A stopped run is at best INCONCLUSIVE."""

    model_config = ConfigDict(extra="allow", frozen=True, arbitrary_types_allowed=True, populate_by_name=True, serialize_by_alias=True)

    for_s: PositiveDuration = Field(default=10.0, alias="for")
    grace: Duration = Field(default=0.0, description="from the start of the load: what happens before counts for nothing")

    @property
    def condition(self) -> tuple[Indicator, units.Limit]:
        """What is watched, and the limit whose *holding* aborts."""
        ((name, text),) = (self.model_extra or {}).items()
        return indicator(name), units.limit(text)

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if len(self.model_extra or {}) != 1:
            raise ValueError("an abort rule has exactly one SLI beside `for` and `grace`: {availability: '< 50%', for: 10s}")
        of, _ = self.condition
        if of.window_s is not None:
            raise ValueError(f"how long {of.sli.text} must be bad is said by `for`; leave out 'over {units.plain(of.window_s)}s'")
        return self


class Gate(Model):
    """Keptn's scoring: the weighted share of passed objectives; `key` objectives must pass by themselves."""

    pass_: Percent = Field(default="90%", alias="pass")
    warn: Percent = "75%"
    key: list[str] = Field(default_factory=list, description="`phase.sli`")
    weights: dict[str, Weight] = Field(default_factory=dict, description="by `phase.sli`; default 1")

    @model_validator(mode="after")
    def _warn_below_pass(self) -> Self:
        if units.percent(self.warn) > units.percent(self.pass_):
            raise ValueError(f"warn {self.warn} is above pass {self.pass_}; write a warn that is lower")
        return self
