"""A slow network between two services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from statistics import median
from typing import Any

from pydantic import Field, model_validator

from harness.faults.base import Evidence, FaultError
from harness.faults.edge_rules import Direction, Rule, senders
from harness.faults.network_talk import BY_PACKETS, DIRECT_PATIENCE_S, MEND, TalkFault
from harness.scenario.catalog import ByRules, FaultParameters, FaultSpec
from harness.scenario.model import Duration

ROUND_TRIPS = 3
CLEARLY = 0.8  # of the delay asked for, at least, must show
HARDLY = 0.3  # of it, at most, may show when it is gone


class LatencyParameters(FaultParameters):
    """Parameters of `network.latency`."""

    delay: Duration = Field(description="added to what passes, per chunk", ge=0.005, le=60.0, json_schema_extra={"unit": "duration"})
    jitter: Duration = Field(default=0.0, description="drawn uniformly from +/- this", ge=0.0, json_schema_extra={"unit": "duration"})
    direction: Direction = Field(
        default="downstream", description="answers, questions, or both: one round trip then takes one, or two, delays more"
    )

    @model_validator(mode="after")
    def _jitter_is_smaller(self) -> LatencyParameters:
        if self.jitter > self.delay / 2:
            raise ValueError("jitter must be at most half the delay, or the delay could not be told from noise")
        return self

    def by_rules(self) -> ByRules:
        return "with netem"  # iptables and the other disciplines delay nothing


class NetworkLatency(TalkFault[LatencyParameters]):
    """Everything on one edge takes longer: new and existing connections, without loss and without throttling."""

    spec = FaultSpec(
        name="network.latency",
        summary="Delays what passes on one edge, on new and existing connections, in order and without throttling.",
        kind="network",
        parameters=LatencyParameters,
        targets=("edge",),
        needs=(),
        either=BY_PACKETS,
        evidence="timed round trips (a login, PING or GET /health) of the caller against such past the fault, during and after",
        example="{id: slow-db, type: network.latency, target: retrieval->postgres, at: fault, for: 30s, with: {delay: 300ms}}",
        recoverable_by=MEND,
    )

    def document(self) -> Mapping[str, Any]:
        wanted = self.parameters
        return {"type": "latency", "delay_s": wanted.delay, "jitter_s": wanted.jitter, "direction": wanted.direction}

    def rules(self) -> Sequence[Rule]:
        netem = ("delay", f"{1000 * self.parameters.delay:g}ms", f"{1000 * self.parameters.jitter:g}ms")
        return [Rule(end, lambda rules, name, peers: rules.disturb(name, peers, netem)) for end in senders(self.parameters.direction)]

    def verify(self) -> Evidence | None:
        wanted_s = (self.parameters.delay - self.parameters.jitter) * self._delays_a_round_trip
        through_s, direct_s = self._measure()
        if through_s - direct_s < CLEARLY * wanted_s:
            return None
        return {"through_s": through_s, "direct_s": direct_s, "asked_s": self.parameters.delay, **self.touched()}

    def whole(self) -> Evidence | None:
        through_s, direct_s = self._measure()
        if through_s - direct_s > HARDLY * self.parameters.delay * self._delays_a_round_trip:
            return None
        return {"through_s": through_s, "direct_s": direct_s, "asked_s": 0.0}

    @property
    def _delays_a_round_trip(self) -> int:
        return 2 if self.parameters.direction == "both" else 1

    def _measure(self) -> tuple[float, float]:
        """Median seconds to an answer for the caller, and past the fault. Raises FaultError."""
        ways, ask = self.ways(), self.words().ask()
        patience_s = DIRECT_PATIENCE_S + 4 * self.parameters.delay
        rounds = ROUND_TRIPS if self.parameters.delay <= 1.0 else 1  # a look must not outlast the fault
        through = [talk.answered_s for talk in islice(ways.several(ask, patience_s, rounds), rounds)]
        direct = [self.past(ways, ask).answered_s or 0.0 for _ in range(rounds)]
        answered = [seconds for seconds in through if seconds is not None]
        if not answered:
            raise FaultError(f"no answer on {self.target.text}")
        return median(answered), median(direct)


FAULTS = (NetworkLatency,)
