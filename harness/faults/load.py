"""Load as a fault: clients beside the measured ones ask too much, all at once, again and again, too slowly, or for too much."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic
from urllib.parse import urlsplit

from pydantic import Field

from harness.faults.base import Context, Evidence, FaultError, Parameters, Target, TargetedFault, Undo
from harness.faults.beside import Beside
from harness.faults.http_look import LookError, ask
from harness.faults.names import fresh_name
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration, Rate

CLEARLY = 0.8  # of what is asked for, at least, must show
ANSWER_S = 5.0
QUESTION_CHARS_MAX = 10_000
CROWD = "harness.faults.crowd"
COUNTS = ("sent", "answered", "failed", "dropped", "held", "calls")
HELPS = ("scale", "shed_load")


class CrowdFault(TargetedFault[Parameters], Generic[Parameters]):
    """Clients of the entry that misbehave. They go when they are told to, when the harness dies, or when their time is up."""

    kind = "steady"

    def __init__(self, target: Target, parameters: Parameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self._name = fresh_name(context)
        self._running: Beside | None = None
        self._began_ns = 0

    @abstractmethod
    def plan(self) -> Mapping[str, Any]:
        """The parameters of the kind."""

    @abstractmethod
    def bites(self, tally: Mapping[str, int], since_s: float) -> bool:
        """Whether what has happened since the injection is what was asked for."""

    def undo(self) -> Sequence[Undo]:
        return (Undo("terminate_named", {"argument": Beside.argument(self._name)}),)

    def inject(self) -> None:
        if self._running is not None and self._running.alive:
            return
        stack, url = self.context.stack, self._url
        entry = urlsplit(url)
        if entry.scheme != "http" or entry.hostname is None or entry.port is None:
            raise FaultError(f"{url}: clients can be sent to http://host:port only")
        key = stack.api_key
        asks = "ask" in stack.info.journeys and url == stack.entry_url
        told = {
            "kind": self.kind,
            "host": entry.hostname,
            "port": entry.port,
            "path": (entry.path.rstrip("/") + "/api/ask") if asks else entry.path or "/",
            "asks": asks,
            "headers": {"authorization": f"Bearer {key}"} if key else {},
            "seed": self.context.random.getrandbits(32),
            "ttl_s": self.context.ttl_s,
            "plan": dict(self.plan()),
        }
        try:
            self._running = Beside(CROWD, self._name, told)
        except OSError as error:
            raise FaultError(f"the clients do not start: {error}") from error
        self._began_ns = self.context.clock.now_ns()

    def verify(self) -> Evidence | None:
        """By what the target has answered, or holds open: it has certainly met them."""
        if self._running is None or not self._running.alive:
            return None
        tally, since_s = self._tally(self._running), (self.context.clock.now_ns() - self._began_ns) / 1e9
        return {**tally, "since_s": since_s} if tally and self.bites(tally, since_s) else None

    @staticmethod
    def _tally(running: Beside) -> Mapping[str, int]:
        """The latest; empty before the first."""
        return {name: count for name in COUNTS if (count := running.said(name)) is not None}

    def heal(self) -> None:
        if self._running is not None:
            self._running.end()
            self._running = None

    def gone(self) -> Evidence | None:
        """No such client is there, and the target answers somebody else."""
        if self._running is not None and self._running.alive:
            return None
        try:
            answer = ask(self._url, self.context.clock, timeout_s=ANSWER_S)
        except LookError:
            return None
        return {"clients": 0, "status": answer.status, "took_s": answer.duration_s}

    @property
    def _url(self) -> str:
        """Of the target: where the load enters, questions are asked; of any other service the root is."""
        urls = [instance.url for instance in self.context.stack.instances(self.target.service)]
        entry = self.context.stack.entry_url
        return entry if entry in urls else urls[0]


def _answered(tally: Mapping[str, int]) -> int:
    return tally["answered"] + tally["failed"]


class SpikeParameters(FaultParameters):
    """Parameters of `load.spike` and `load.hot_key`."""

    rate: Rate = Field(description="requests of these clients, whatever the answers do", gt=0, le=2000, json_schema_extra={"unit": "rate"})
    timeout: Duration = Field(
        default=10.0, description="after which one gives up", ge=0.1, le=120.0, json_schema_extra={"unit": "duration"}
    )


class Spike(CrowdFault[SpikeParameters]):
    """More users than usual, from one moment to the next."""

    spec = FaultSpec(
        name="load.spike",
        summary="Other clients ask that much more, beside the measured load, from one moment to the next.",
        kind="load",
        parameters=SpikeParameters,
        targets=("service",),
        needs=(),
        evidence="the target has dealt with what these clients sent, at the rate asked for; gone: no such client, others are answered",
        example="{id: rush, type: load.spike, target: gateway, at: fault, for: 20s, with: {rate: 60/s}}",
        recoverable_by=HELPS,
        only_roles=("http",),
    )
    LOOK_S = 1.0

    def plan(self) -> Mapping[str, Any]:
        return {"rate": self.parameters.rate, "timeout_s": self.parameters.timeout}

    def bites(self, tally: Mapping[str, int], since_s: float) -> bool:
        asked = self.parameters.rate * self.LOOK_S
        return since_s >= self.LOOK_S and tally["sent"] >= max(1.0, CLEARLY * asked) and _answered(tally) >= 1


class HotKey(Spike):
    """Everybody asks the same."""

    spec = FaultSpec(
        name="load.hot_key",
        summary="Other clients all ask the same question, that often.",
        kind="load",
        parameters=SpikeParameters,
        targets=("service",),
        needs=(),
        evidence="the target has dealt with what these clients sent, at the rate asked for; gone: no such client, others are answered",
        example="{id: trending, type: load.hot_key, target: gateway, at: fault, for: 20s, with: {rate: 60/s}}",
        recoverable_by=HELPS,
        only_roles=("http",),
    )

    def plan(self) -> Mapping[str, Any]:
        return {**super().plan(), "same": True}


class LargePromptsParameters(SpikeParameters):
    """Parameters of `load.large_prompts`."""

    chars: int = Field(
        default=8000, description="length of each question", ge=500, le=QUESTION_CHARS_MAX, json_schema_extra={"unit": "characters"}
    )


class LargePrompts(Spike):
    """Questions as long as they may be."""

    spec = FaultSpec(
        name="load.large_prompts",
        summary="Other clients ask questions of that many characters, that often.",
        kind="load",
        parameters=LargePromptsParameters,
        targets=("service",),
        needs=(),
        evidence="the target has dealt with what these clients sent, at the rate asked for; gone: no such client, others are answered",
        example="{id: essays, type: load.large_prompts, target: gateway, at: fault, for: 20s, with: {rate: 10/s, chars: 9000}}",
        recoverable_by=HELPS,
        only_roles=("http",),
    )
    parameters: LargePromptsParameters

    def plan(self) -> Mapping[str, Any]:
        return {**super().plan(), "chars": self.parameters.chars}


class RetryStormParameters(FaultParameters):
    """Parameters of `load.retry_storm`."""

    rate: Rate = Field(description="calls of these clients, without their retries", gt=0, le=1000, json_schema_extra={"unit": "rate"})
    patience: Duration = Field(
        description="after which one is given up and repeated at once", ge=0.01, le=60.0, json_schema_extra={"unit": "duration"}
    )
    retries: int = Field(default=5, description="how often one is repeated", ge=1, le=100, json_schema_extra={"unit": "requests"})


class RetryStorm(CrowdFault[RetryStormParameters]):
    """Clients without patience, backoff or budget."""

    spec = FaultSpec(
        name="load.retry_storm",
        summary="Other clients give up quickly and repeat at once, several times: load that grows with every delay.",
        kind="load",
        parameters=RetryStormParameters,
        targets=("service",),
        needs=(),
        evidence="these clients have sent half as many requests again as they had calls; gone: no such client, others are answered",
        example="{id: storm, type: load.retry_storm, target: gateway, at: fault, for: 20s, with: {rate: 10/s, patience: 100ms}}",
        recoverable_by=HELPS,
        only_roles=("http",),
    )
    kind = "retrying"
    AMPLIFIED = 1.5

    def plan(self) -> Mapping[str, Any]:
        asked = self.parameters
        return {"rate": asked.rate, "patience_s": asked.patience, "retries": asked.retries}

    def bites(self, tally: Mapping[str, int], since_s: float) -> bool:  # noqa: ARG002 - whenever that was
        return tally["calls"] >= 2 and tally["sent"] >= self.AMPLIFIED * tally["calls"]


class HerdParameters(FaultParameters):
    """Parameters of `load.thundering_herd`."""

    clients: int = Field(description="requests at the same moment", ge=2, le=1000, json_schema_extra={"unit": "requests"})
    every: Duration = Field(
        default=5.0, description="from one moment to the next", ge=0.5, le=600.0, json_schema_extra={"unit": "duration"}
    )
    timeout: Duration = Field(
        default=10.0, description="after which one gives up", ge=0.1, le=120.0, json_schema_extra={"unit": "duration"}
    )


class ThunderingHerd(CrowdFault[HerdParameters]):
    """All at once, and then nobody."""

    spec = FaultSpec(
        name="load.thundering_herd",
        summary="Other clients all ask at the same moment, again and again.",
        kind="load",
        parameters=HerdParameters,
        targets=("service",),
        needs=(),
        evidence="a whole herd was sent, and the target has dealt with some of it; gone: no such client, others are answered",
        example="{id: herd, type: load.thundering_herd, target: gateway, at: fault, for: 20s, with: {clients: 100, every: 5s}}",
        recoverable_by=HELPS,
        only_roles=("http",),
    )
    kind = "herd"

    def plan(self) -> Mapping[str, Any]:
        asked = self.parameters
        return {"clients": asked.clients, "every_s": asked.every, "timeout_s": asked.timeout}

    def bites(self, tally: Mapping[str, int], since_s: float) -> bool:  # noqa: ARG002 - whenever that was
        return tally["sent"] >= self.parameters.clients and _answered(tally) >= 1


class SlowLorisParameters(FaultParameters):
    """Parameters of `load.slow_loris`."""

    clients: int = Field(description="connections held open", ge=1, le=1000, json_schema_extra={"unit": "connections"})


class SlowLoris(CrowdFault[SlowLorisParameters]):
    """Requests that never end."""

    spec = FaultSpec(
        name="load.slow_loris",
        summary="Other clients hold connections open with requests that never end, a byte of a header each second.",
        kind="load",
        parameters=SlowLorisParameters,
        targets=("service",),
        needs=(),
        evidence="the target holds so many of these connections open; gone: no such client, others are answered",
        example="{id: loris, type: load.slow_loris, target: gateway, at: fault, for: 20s, with: {clients: 200}}",
        recoverable_by=(*HELPS, "restart"),
        only_roles=("http",),
    )
    kind = "dripping"
    HELD_S = 0.5

    def plan(self) -> Mapping[str, Any]:
        return {"clients": self.parameters.clients}

    def bites(self, tally: Mapping[str, int], since_s: float) -> bool:
        return since_s >= self.HELD_S and tally["held"] >= CLEARLY * self.parameters.clients


FAULTS = (Spike, HotKey, LargePrompts, RetryStorm, ThunderingHerd, SlowLoris)
