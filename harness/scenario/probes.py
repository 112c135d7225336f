"""Probes: questions that a run asks of its system, each at its time, and whose answers are checks."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.scenario.fields import LimitText, Model, PositiveDuration
from harness.scenario.units import limit

Mode = Literal["before", "after", "during", "continuous", "on_fault"]
ONCE = frozenset({"before", "after"})
NO_FAILURE = limit("<= 0")


class HttpProbe(Model):
    """A GET that must answer with `status`, and `contains` in its body. Of a service, some instance must; of an instance, that one."""

    service: str | None = Field(default=None, description="service or instance (`retrieval-2`) of the stack")
    path: str = Field(default="/", pattern=r"^/")
    url: str | None = Field(default=None, description="instead of a service: a whole address")
    status: Annotated[int, Field(ge=100, le=599)] = 200
    contains: str | None = None

    @model_validator(mode="after")
    def _service_or_url(self) -> Self:
        if (self.service is None) == (self.url is None):
            raise ValueError("an HTTP probe asks exactly one of service, url; write {service: gateway, path: /health}")
        return self


class MetricProbe(Model):
    """The sum of a metric's series, over all instances of a service, against a plain limit."""

    service: str
    name: str = Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    labels: dict[str, str] = Field(default_factory=dict)
    is_: LimitText = Field(alias="is")

    @model_validator(mode="after")
    def _plain_limit(self) -> Self:
        if self.is_.of is not None:
            raise ValueError(f"{self.is_.text!r} is relative, and a metric is compared with a number; write '<= 8'")
        return self


class Probe(Model):
    """One question and when it is asked. Exactly one of `http`, `command`, `metric`."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    mode: Mode
    http: HttpProbe | None = None
    command: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None, description="argv, without a shell; `{service}` is its address; status 0 is yes"
    )
    metric: MetricProbe | None = None
    fault: str | None = Field(default=None, description="for on_fault: while this one is active")
    every: PositiveDuration = Field(default=1.0, description="from one question to the next")
    timeout: PositiveDuration = Field(default=1.0, description="a later answer is none")
    retries: Annotated[int, Field(ge=0, le=100)] = Field(default=0, description="before, after: how often it is asked again after a no")
    failures: LimitText = Field(default=NO_FAILURE, description="during, continuous, on_fault: how many answers may be no")

    @property
    def once(self) -> bool:
        """Is one yes enough?"""
        return self.mode in ONCE

    @model_validator(mode="after")
    def _fits(self) -> Self:
        given = [name for name in ("http", "command", "metric") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a probe asks exactly one of http, command, metric; this one has {given or 'none'}")
        if (self.mode == "on_fault") != (self.fault is not None):
            raise ValueError("`fault` belongs to mode on_fault, and mode on_fault to a fault; write {mode: on_fault, fault: <id>}")
        if self.once and self.failures != NO_FAILURE:
            raise ValueError(f"a probe of mode {self.mode} has one answer; leave `failures` out, or write `retries`")
        if not self.once and self.retries:
            raise ValueError(f"a probe of mode {self.mode} is asked again anyway; leave `retries` out, or write `failures`")
        if self.failures.of is not None or self.failures.unit != "number" or self.failures.op not in ("<", "<="):
            raise ValueError(f"failures is a count, and {self.failures.text!r} is no upper limit of one; write 0, or '<= 2'")
        return self
