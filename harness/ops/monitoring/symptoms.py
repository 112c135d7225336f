"""Rules: what in the signals is not as it should be. A symptom names where it shows, not yet what causes it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.ops.monitoring.baseline import Baseline
from harness.ops.monitoring.rounds import CERTIFICATE, Round
from harness.ops.monitoring.signals import EdgeSignal, ServiceSignal, Signals

DOWN_ROUNDS = 2  # consecutive failed looks
MIN_EVENTS = 5  # attempts in a window, below which a share says nothing
ERROR_SHARE = 0.2
RATE_LIMITED_SHARE = 0.1
LATENCY_SCORE = 8.0
LATENCY_EFFECT_S = 0.2  # an anomaly smaller than this hurts nobody
TIMES_USUAL = 2.0  # nor does one that is not at least twice the usual: more load makes everything a little slower
EARLY = 0.75  # of what calls usually take: time-outs that come before that are the caller's own want of patience
RESIDENCE_SCORE = 8.0
RESIDENCE_EFFECT_S = 0.6
USER_FAILURE_SHARE = 0.05
USER_LATENCY_FACTOR = 1.5  # over the promised p95


@dataclass(frozen=True, slots=True)
class Symptom:
    """Something wrong, seen now. `edge` is set when it was seen on calls; `service` is then the callee."""

    name: str  # the alert's name
    service: str
    kind: str  # what it looks like, in the words of a diagnosis
    evidence: str
    severity: str = "critical"
    instance: str = ""
    edge: tuple[str, str] | None = None
    score: float = 1.0  # how far out of the ordinary; comparable within a kind
    directness: float | None = None  # how directly it points at its service; None: the table of `ranking` says
    for_s: float | None = None  # how long it must last to be an alert; None: the table of `alerts` says


@dataclass(slots=True)
class SymptomRules:
    """Stateful rules over successive rounds: failed looks in a row, and baselines of every edge and service."""

    latency_limit_s: float | None = None  # the promised p95, if any
    entry: str = "gateway"  # the service that users ask
    _failed: dict[tuple[str, str], deque[str]] = field(default_factory=dict)
    _latency: dict[tuple[str, str], Baseline] = field(default_factory=dict)
    _queued: dict[tuple[str, str], Baseline] = field(default_factory=dict)
    _own: dict[tuple[str, str], Baseline] = field(default_factory=dict)
    _load: dict[str, Baseline] = field(default_factory=dict)
    _probe: dict[str, Baseline] = field(default_factory=dict)
    _opened_by: dict[tuple[str, str], Symptom] = field(default_factory=dict)

    def look(self, round_: Round, signals: Signals) -> tuple[Symptom, ...]:
        """All symptoms of this moment."""
        return (
            *self._down(round_),
            *self._probes(round_),
            *(s for edge, signal in signals.edges.items() for s in self._edge(edge, signal, signals.window_s)),
            *self._services(signals),
            *self._user(signals),
        )

    def _down(self, round_: Round) -> Iterator[Symptom]:
        registered = {(k.endpoint.service, k.endpoint.instance) for k in round_.looks}
        for gone in self._failed.keys() - registered:  # taken out of discovery: a deploy, a scale-down
            del self._failed[gone]
        for look in round_.looks:
            key = (look.endpoint.service, look.endpoint.instance)
            if look.error is None or look.serving:
                self._failed.pop(key, None)
                continue
            errors = self._failed.setdefault(key, deque(maxlen=DOWN_ROUNDS))
            errors.append(look.error)
            if len(errors) == DOWN_ROUNDS:
                yield _refused(key, look.error) if look.error.startswith(CERTIFICATE) else _silent(key, errors)

    def _probes(self, round_: Round) -> Iterator[Symptom]:
        """A direct probe that is slow tells a slow server from a slow network."""
        for look in round_.looks:
            if look.error is not None or look.endpoint.url.startswith("http"):
                continue
            baseline = self._probe.setdefault(look.endpoint.instance, Baseline(floor=0.01))
            if _anomalous(baseline, look.duration_s, LATENCY_SCORE, LATENCY_EFFECT_S):
                evidence = (
                    f"direct probe of {look.endpoint.instance} takes {look.duration_s * 1e3:.0f} ms, usually {baseline.median * 1e3:.0f}"
                )
                yield Symptom("ProbeSlow", look.endpoint.service, "latency", evidence, "warning", look.endpoint.instance)

    def _edge(self, edge: tuple[str, str], signal: EdgeSignal, window_s: float) -> Iterator[Symptom]:
        caller, callee = edge
        latency = signal.latency_s
        if signal.attempts >= MIN_EVENTS:
            usual = self._latency.get(edge)
            patient = latency is None or usual is None or not usual.ready or latency > EARLY * usual.median
            yield from self._failures(edge, signal, patient=patient)
        if latency is not None and signal.finished >= MIN_EVENTS:
            baseline = self._latency.setdefault(edge, Baseline(floor=0.01))
            if _anomalous(baseline, latency, LATENCY_SCORE, LATENCY_EFFECT_S):
                evidence = f"calls {caller} -> {callee} take {latency * 1e3:.0f} ms, usually {baseline.median * 1e3:.0f}"
                yield Symptom("CallLatencyHigh", callee, "latency", evidence, edge=edge, score=baseline.score(latency))
        residence = signal.residence_s(window_s)
        if residence is not None and signal.arrived >= MIN_EVENTS:
            usual = self._queued.setdefault(edge, Baseline(floor=0.02))
            if _anomalous(usual, residence, RESIDENCE_SCORE, RESIDENCE_EFFECT_S):
                evidence = (
                    f"{signal.in_progress:.0f} calls {caller} -> {callee} are waiting, {residence:.1f} s each, usually {usual.median:.1f}"
                )
                yield Symptom("CallsQueueing", callee, "latency", evidence, edge=edge, score=usual.score(residence))

    def _failures(self, edge: tuple[str, str], signal: EdgeSignal, *, patient: bool) -> Iterator[Symptom]:
        """An open circuit hides what opened it: while calls are refused by it, the last failure seen stays the symptom.

        Calls that time out sooner than they usually end were given up early, by users without patience: no callee hangs for that.
        """
        failures = [s for s in _outcomes(edge, signal) if patient or s.kind != "hang"]
        refused = signal.share("circuit_open")
        if failures:
            self._opened_by[edge] = failures[0]
        elif refused >= ERROR_SHARE and edge in self._opened_by:
            cause = self._opened_by[edge]
            failures = [
                replace(
                    cause, evidence=f"{refused:.0%} of the calls {edge[0]} -> {edge[1]} meet an open circuit; before it: {cause.evidence}"
                )
            ]
        else:
            self._opened_by.pop(edge, None)
        yield from failures

    def _services(self, signals: Signals) -> Iterator[Symptom]:
        for service, signal in signals.services.items():
            if signal.requests >= MIN_EVENTS and signal.errors / signal.requests >= ERROR_SHARE:
                evidence = f"{service} answers {signal.errors / signal.requests:.0%} of {signal.requests:.0f} requests with 5xx"
                yield Symptom("ServiceErrors", service, "errors", evidence)
            yield from self._slow_routes(service, signal)
            residence = signal.residence_s(signals.window_s)
            if residence is not None and signal.arrived >= MIN_EVENTS:
                usual = self._load.setdefault(service, Baseline(floor=0.02))
                if _anomalous(usual, residence, RESIDENCE_SCORE, RESIDENCE_EFFECT_S):
                    evidence = f"{signal.in_progress:.0f} requests stay {residence:.1f} s each inside {service}, usually {usual.median:.1f}"
                    yield Symptom("ServiceQueueing", service, "latency", evidence, "warning", score=usual.score(residence))

    def _slow_routes(self, service: str, signal: ServiceSignal) -> Iterator[Symptom]:
        """The slowest, each by its own baseline: while a provider answers nothing but embeddings, its mean falls a hundredfold.

        What is usual must not fall with it.
        """
        slow = []
        for route, flow in signal.routes.items():
            latency = flow.latency_s
            if latency is not None and flow.finished >= MIN_EVENTS:
                baseline = self._own.setdefault((service, route), Baseline(floor=0.01))
                if _anomalous(baseline, latency, LATENCY_SCORE, LATENCY_EFFECT_S):
                    evidence = f"{service} needs {latency * 1e3:.0f} ms a request of {route}, usually {baseline.median * 1e3:.0f}"
                    slow.append(Symptom("ServiceLatencyHigh", service, "latency", evidence, "warning", score=baseline.score(latency)))
        if slow:
            yield max(slow, key=lambda symptom: symptom.score)

    def _user(self, signals: Signals) -> Iterator[Symptom]:
        client = signals.client
        if client.requests >= 4 * MIN_EVENTS and client.failures >= MIN_EVENTS and client.failures / client.requests > USER_FAILURE_SHARE:
            evidence = f"{client.failures / client.requests:.0%} of {client.requests:.0f} user requests fail"
            yield Symptom("UserErrorsHigh", self.entry, "errors", evidence)
        p95, limit = client.latency_s_p95, self.latency_limit_s
        if p95 is not None and limit is not None and client.requests >= 4 * MIN_EVENTS and p95 > USER_LATENCY_FACTOR * limit:
            yield Symptom("UserLatencyHigh", self.entry, "latency", f"user p95 is {p95:.2f} s, promised {limit:.2f}")


def _silent(who: tuple[str, str], errors: Sequence[str]) -> Symptom:
    kind = _kind_of_silence(errors)
    evidence = f"{who[1]} did not answer {DOWN_ROUNDS} times in a row: {errors[-1]}"
    return Symptom("InstanceDown", who[0], kind, evidence, instance=who[1])


def _refused(who: tuple[str, str], error: str) -> Symptom:
    """It answers, and no client that verifies whom it speaks with goes on."""
    return Symptom("CertificateInvalid", who[0], "credentials", f"{who[1]} is refused by whoever verifies it: {error}", instance=who[1])


_NO_SESSION = ("too many clients", "remaining connection slots", "too many connections", "max number of clients")


def _kind_of_silence(errors: Iterable[str]) -> str:
    """A server that admits nobody more is there, and full."""
    if any(words in e for e in errors for words in _NO_SESSION):
        return "pool"
    return "hang" if all(e == "timeout" for e in errors) else "crash"


def _outcomes(edge: tuple[str, str], signal: EdgeSignal) -> Iterator[Symptom]:
    caller, callee = edge
    limited = signal.share("rate_limited")
    if limited >= RATE_LIMITED_SHARE and signal.outcomes.get("rate_limited", 0) >= MIN_EVENTS:
        yield Symptom("RateLimited", callee, "rate_limit", f"{limited:.0%} of the calls {caller} -> {callee} are rate limited", edge=edge)
    for kind, outcomes in _FAILURES.items():
        share = signal.share(*outcomes)
        if share >= ERROR_SHARE and signal.attempts * share >= MIN_EVENTS:
            words = ", ".join(o for o in outcomes if signal.outcomes.get(o))
            yield Symptom(
                "CallErrors", callee, kind, f"{share:.0%} of the calls {caller} -> {callee} fail: {words}", edge=edge, score=share
            )


_FAILURES: Mapping[str, tuple[str, ...]] = {
    "errors": ("http_5xx", "connect_error", "connection_lost", "error"),
    "hang": ("timeout",),
}


def _anomalous(baseline: Baseline, value: float, score: float, effect: float) -> bool:
    """Far out *and* large. Calm values are learnt, anomalous ones are not."""
    large = value - baseline.median > effect and value > TIMES_USUAL * baseline.median
    if baseline.ready and large and baseline.score(value) > score:
        return True
    baseline.learn(value)
    return False
