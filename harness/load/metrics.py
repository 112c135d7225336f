"""Service levels as clients see them, as Prometheus metrics. Names and labels know journeys and outcomes, nothing of the experiment."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from harness.load.answers import Question
from harness.load.observation import Observation
from harness.record.requests import Outcome

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2, 3, 5, 8, 12, 20, 30)


class ClientMetrics:
    """The client-side metrics of the telemetry contract."""

    def __init__(self, journeys: tuple[str, ...]) -> None:
        self.registry = CollectorRegistry()
        self._journeys = journeys
        self._requests = Counter("client_requests_total", "Requests by how they ended", ["journey", "outcome"], registry=self.registry)
        self._duration = Histogram(
            "client_request_duration_seconds",
            "From the intended start to the end",
            ["journey"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self._first_token = Histogram(
            "client_first_token_seconds", "From the intended start to the first content", buckets=BUCKETS_S, registry=self.registry
        )
        self._quality = Counter("client_quality_total", "Complete answers by what they hold", ["result"], registry=self.registry)
        self.offered = Counter("client_offered_total", "Intended requests", registry=self.registry)
        self.in_flight = Gauge("client_requests_in_flight", "Requests without an end", registry=self.registry)

    def count(self, observation: Observation, question: Question | None) -> None:
        """Count a request that has ended. `question` is the one that was asked, None for a journey that asks none."""
        journey = self._journeys[observation.journey]
        self._requests.labels(journey, observation.outcome.name.lower()).inc()
        if observation.outcome is not Outcome.DROPPED:
            self._duration.labels(journey).observe(observation.latency_s)
        if observation.first_ns:
            self._first_token.observe((observation.first_ns - observation.intended_ns) / 1e9)
        if question is not None and observation.outcome is Outcome.OK and observation.refused >= 0:
            self._quality.labels(_quality(observation, question)).inc()


def _quality(observation: Observation, question: Question) -> str:
    """Correct: the canary, or a refusal where there is nothing to be found. A refusal where there is something is `refused`."""
    if observation.canary == 1 or (question.canary is None and observation.refused == 1):
        return "correct"
    return "refused" if observation.refused == 1 else "wrong"
