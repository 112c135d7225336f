"""A reading: what one thing says of one subject at one moment. All that is judged, kept and forecast is a reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from harness.ops.monitoring.rounds import CLIENT, Round
from harness.ops.monitoring.signals import Flow, Signals
from harness.ops.targets import Targets

HOST = "host"


@dataclass(frozen=True, slots=True)
class Reading:
    """`value` of `name`, of a service, an instance, `host` or `client`. `events`: how many it was counted from, where it is a share."""

    subject: str
    name: str
    value: float
    events: int | None = None

    @property
    def key(self) -> str:
        """`gateway/latency`, as a STACK.yaml writes it."""
        return f"{self.subject}/{self.name}"


class Source(Protocol):
    """Where further readings come from. Third parties announce theirs under the entry point group `rag_gauntlet.sources`: a class that is
    made from the `Targets`.
    """

    def read(self) -> Iterable[Reading]:
        """The readings of this moment. Called once a round: bounded in time by whoever wrote it."""
        ...


def of_signals(signals: Signals, targets: Targets) -> Iterator[Reading]:
    """What services and their users say of requests, over the window of the signals.

    Shares are of 0 to 1, times in seconds, rates per second. `latency` is the mean duration of what ended; `offered` what came in.
    """
    window_s = signals.window_s
    for service, of in signals.services.items():
        if of.requests > 0:
            yield Reading(service, "error_rate", of.errors / of.requests, round(of.requests))
            yield Reading(service, "availability", 1.0 - of.errors / of.requests, round(of.requests))
        yield from _flow(service, of, window_s)
    for (caller, callee), edge in signals.edges.items():
        if callee not in signals.services and edge.attempts > 0 and targets.kinds.get(callee) is not None:
            yield Reading(callee, f"error_rate_from_{caller}", 1.0 - edge.share("ok"), round(edge.attempts))
    for (service, queue), length in signals.queues.items():
        yield Reading(service, f"queue_{queue}", length)
    client = signals.client
    if client.requests > 0:
        yield Reading(CLIENT, "availability", 1.0 - client.failures / client.requests, round(client.requests))
        yield Reading(CLIENT, "error_rate", client.failures / client.requests, round(client.requests))
        yield Reading(CLIENT, "throughput", (client.requests - client.failures) / window_s)
        yield Reading(CLIENT, "offered", client.requests / window_s, round(client.requests))
    if client.latency_s_p95 is not None:
        yield Reading(CLIENT, "response_time", client.latency_s_p95)


def _flow(service: str, flow: Flow, window_s: float) -> Iterator[Reading]:
    yield Reading(service, "throughput", flow.finished / window_s, round(flow.finished))
    yield Reading(service, "offered", flow.arrived / window_s, round(flow.arrived))
    yield Reading(service, "in_progress", flow.in_progress)
    if flow.latency_s is not None:
        yield Reading(service, "response_time", flow.latency_s, round(flow.finished))


@dataclass(slots=True)
class LookTally:
    """How often a service answered when it was looked at, over the last `kept` rounds; and how long it took."""

    kept: int = 60
    _answers: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def take(self, round_: Round) -> Iterator[Reading]:
        """Availability by looks, and the response time of the look itself."""
        of: dict[str, list[tuple[bool, float]]] = {}
        for look in round_.looks:
            of.setdefault(look.endpoint.service, []).append((look.error is None, look.duration_s))
        for service in self._answers.keys() - of.keys():
            del self._answers[service]
        for service, seen in of.items():
            rounds = self._answers.setdefault(service, [])
            rounds.append((sum(answered for answered, _ in seen), len(seen)))
            del rounds[: -self.kept]
            asked = sum(n for _, n in rounds)
            yield Reading(service, "availability_by_looks", sum(a for a, _ in rounds) / asked, asked)
            answered = [duration_s for ok, duration_s in seen if ok]
            if answered:
                yield Reading(service, "look_time", sum(answered) / len(answered))
            yield Reading(service, "instances_up", float(len(answered)))
            yield Reading(service, "instances", float(len(seen)))


def by_key(readings: Iterable[Reading]) -> Mapping[str, Reading]:
    """The last of each key."""
    return {reading.key: reading for reading in readings}
