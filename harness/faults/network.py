"""Faults between two services, through the proxy on their edge."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Literal

from pydantic import Field, model_validator

from harness.faults import roundtrip
from harness.faults.admin_client import call
from harness.faults.base import Context, Evidence, FaultError, Target, TargetedFault, Undo, capability
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration
from harness.stack.base import AdminApi, Proxied, StackError

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


class NetworkLatency(TargetedFault[LatencyParameters]):
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

    def __init__(self, target: Target, parameters: LatencyParameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self._round_trip_delays = 2 if parameters.direction == "both" else 1

    def undo(self) -> Sequence[Undo]:
        api = self._api()
        return (Undo("http", {"method": "DELETE", "url": api.url.rstrip("/") + self._path, "token": api.token}),)

    def inject(self) -> None:
        wanted = self.parameters
        self._call(
            "PUT",
            self._path,
            {
                "type": "latency",
                "delay_s": wanted.delay,
                "jitter_s": wanted.jitter,
                "direction": wanted.direction,
                "ttl_s": self.context.ttl_s,
            },
        )

    def verify(self) -> Evidence | None:
        wanted_s = (self.parameters.delay - self.parameters.jitter) * self._round_trip_delays
        through_s, direct_s = self._measure()
        if through_s - direct_s < CLEARLY * wanted_s:
            return None
        return {"through_proxy_s": through_s, "direct_s": direct_s, "asked_s": self.parameters.delay, **self._affected()}

    def heal(self) -> None:
        self._call("DELETE", self._path)

    def gone(self) -> Evidence | None:
        if self._entry() is not None:
            return None
        through_s, direct_s = self._measure()
        if through_s - direct_s > HARDLY * self.parameters.delay * self._round_trip_delays:
            return None
        return {"through_proxy_s": through_s, "direct_s": direct_s, "asked_s": 0.0}

    @property
    def _path(self) -> str:
        return f"/faults/{self.context.fault_id}"

    def _measure(self) -> tuple[float, float]:
        """Median seconds of round trips through the proxy, and past it. Raises FaultError."""
        place = self._call("GET", "/status")
        question = roundtrip.of_url(self.context.stack.instances(self.target.service)[0].url)
        timeout_s = roundtrip.TIMEOUT_S + 4 * self.parameters.delay
        rounds = ROUND_TRIPS if self.parameters.delay <= 1.0 else 1  # a look must not outlast the fault
        through, direct = question.at(place["listen"]), question.at(place["upstream"])
        try:
            through_s = median(roundtrip.once(through, self.context.clock, timeout_s) for _ in range(rounds))
            direct_s = median(roundtrip.once(direct, self.context.clock, timeout_s) for _ in range(rounds))
        except roundtrip.RoundTripError as error:
            raise FaultError(f"measuring {self.target.text}: {error}") from error
        return through_s, direct_s

    def _affected(self) -> dict[str, Any]:
        entry = self._entry() or {}
        return {"chunks_delayed": entry.get("chunks", 0), "bytes_delayed": entry.get("bytes", 0)}

    def _entry(self) -> dict[str, Any] | None:
        """The fault as the proxy knows it; None when it does not."""
        return next((entry for entry in self._call("GET", "/faults")["faults"] if entry["id"] == self.context.fault_id), None)

    def _api(self) -> AdminApi:
        if self.target.edge is None:
            raise FaultError(f"{self.target.text} is no edge; write caller->callee")
        try:
            return capability(self.context.stack, Proxied).proxy(*self.target.edge)
        except StackError as error:
            raise FaultError(str(error)) from error

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            return call(self._api(), method, path, body)
        except ConnectionRefusedError as error:
            raise FaultError(f"the proxy on {self.target.text} does not listen: {error}") from error


FAULTS = (NetworkLatency,)
