"""A slow network between two services."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any, Literal

from pydantic import Field, model_validator

from harness.faults import roundtrip
from harness.faults.base import Evidence, FaultError
from harness.faults.edge import EdgeFault
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration

ROUND_TRIPS = 3
CLEARLY = 0.8  # of the delay asked for, at least, must show
HARDLY = 0.3  # of it, at most, may show when it is gone


class LatencyParameters(FaultParameters):
    """Parameters of `network.latency`."""

    delay: Duration = Field(description="added to what passes, per chunk", ge=0.005, le=60.0, json_schema_extra={"unit": "duration"})
    jitter: Duration = Field(default=0.0, description="drawn uniformly from +/- this", ge=0.0, json_schema_extra={"unit": "duration"})
    direction: Literal["downstream", "upstream", "both"] = Field(
        default="downstream", description="answers, questions, or both: one round trip then takes one, or two, delays more"
    )

    @model_validator(mode="after")
    def _jitter_is_smaller(self) -> LatencyParameters:
        if self.jitter > self.delay / 2:
            raise ValueError("jitter must be at most half the delay, or the delay could not be told from noise")
        return self


class NetworkLatency(EdgeFault[LatencyParameters]):
    """Everything on one edge takes longer: new and existing connections, without loss and without throttling."""

    spec = FaultSpec(
        name="network.latency",
        summary="Delays what passes on one edge, on new and existing connections, in order and without throttling.",
        kind="network",
        parameters=LatencyParameters,
        targets=("edge",),
        needs=("Proxied",),
        evidence="timed round trips (SSLRequest, PING or GET /health) through the proxy against direct ones, during and after",
        example="{id: slow-db, type: network.latency, target: retrieval->postgres, at: fault, for: 30s, with: {delay: 300ms}}",
        recoverable_by=(),  # nothing that an operator can do to the services mends a network: it must call somebody
    )

    def document(self) -> Mapping[str, Any]:
        wanted = self.parameters
        return {"type": "latency", "delay_s": wanted.delay, "jitter_s": wanted.jitter, "direction": wanted.direction}

    def verify(self) -> Evidence | None:
        wanted_s = (self.parameters.delay - self.parameters.jitter) * self._delays_a_round_trip
        through_s, direct_s = self._measure()
        if through_s - direct_s < CLEARLY * wanted_s:
            return None
        return {"through_proxy_s": through_s, "direct_s": direct_s, "asked_s": self.parameters.delay, **self.touched()}

    def whole(self) -> Evidence | None:
        through_s, direct_s = self._measure()
        if through_s - direct_s > HARDLY * self.parameters.delay * self._delays_a_round_trip:
            return None
        return {"through_proxy_s": through_s, "direct_s": direct_s, "asked_s": 0.0}

    @property
    def _delays_a_round_trip(self) -> int:
        return 2 if self.parameters.direction == "both" else 1

    def _measure(self) -> tuple[float, float]:
        """Median seconds of round trips through the proxy, and past it. Raises FaultError."""
        ways, question = self.ways(), roundtrip.of_url(self.callee_url())
        timeout_s = roundtrip.TIMEOUT_S + 4 * self.parameters.delay
        rounds = ROUND_TRIPS if self.parameters.delay <= 1.0 else 1  # a look must not outlast the fault
        try:
            through_s = median(roundtrip.once(question, self.context.clock, timeout_s, ways.through) for _ in range(rounds))
            direct_s = median(roundtrip.once(question, self.context.clock, timeout_s, ways.past) for _ in range(rounds))
        except roundtrip.RoundTripError as error:
            raise FaultError(f"measuring {self.target.text}: {error}") from error
        return through_s, direct_s


FAULTS = (NetworkLatency,)
