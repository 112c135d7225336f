"""From symptoms to alerts: lasting, once, and not for every service above."""

from __future__ import annotations

from harness.ops.diagnosis.graph import Graph
from harness.ops.diagnosis.ranking import Cause, rank
from harness.ops.monitoring.alerts import AlertBook
from harness.ops.monitoring.baseline import Baseline
from harness.ops.monitoring.inhibition import inhibit
from harness.ops.monitoring.symptoms import Symptom

GRAPH = Graph([("gateway", "query"), ("query", "retrieval"), ("retrieval", "postgres"), ("query", "generation"), ("generation", "llm")])


def slow(service: str, name: str = "CallLatencyHigh", edge: tuple[str, str] | None = None) -> Symptom:
    return Symptom(name, service, "latency", f"{service} is slow", edge=edge)


def test_a_symptom_must_last_without_a_break() -> None:
    book = AlertBook()
    assert book.update(0, [slow("llm")]) == []
    assert book.update(1, []) == []
    assert book.update(2, [slow("llm")]) == []
    (alert,) = book.update(4, [slow("llm")])
    assert (dict(alert.labels), alert.starts_at_s) == ({"alertname": "LatencyHigh", "service": "llm", "severity": "critical"}, 4)


def test_two_measures_of_the_same_are_one_alert_and_it_is_resolved_once() -> None:
    book = AlertBook()
    both = [slow("llm"), slow("llm", "CallsQueueing"), slow("llm", "ServiceLatencyHigh")]
    changes = [book.update(t, both if t < 5 else both[1:2] if t < 8 else []) for t in range(16)]
    assert [(t, a.ends_at_s) for t, changed in enumerate(changes) for a in changed] == [(2, None), (12, 12)]
    assert book.firing == ()


def test_time_scale_compresses_durations() -> None:
    book = AlertBook(time_scale=10.0)
    assert book.update(0.0, [slow("llm")]) == []
    assert len(book.update(0.2, [slow("llm")])) == 1


def test_the_webhook_body_is_alertmanagers() -> None:
    book = AlertBook()
    (alert,) = book.update(0, [Symptom("InstanceDown", "cache", "crash", "gone", instance="cache-1")])
    assert alert.to_webhook(wall_offset_s=1_700_000_000.0) == {
        "status": "firing",
        "labels": {"alertname": "InstanceDown", "service": "cache", "severity": "critical", "instance": "cache-1"},
        "annotations": {"summary": "gone"},
        "startsAt": "2023-11-14T22:13:20Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": alert.fingerprint,
    }


def test_only_the_deepest_of_a_chain_is_told_and_what_users_see() -> None:
    user = Symptom("UserLatencyHigh", "gateway", "latency", "p95")
    chain = [slow("query"), slow("generation"), slow("llm"), user]
    assert inhibit(chain, GRAPH) == (slow("llm"), user)


def test_an_instance_that_is_down_is_told_beside_what_lies_beneath() -> None:
    down = Symptom("InstanceDown", "retrieval", "crash", "gone", instance="retrieval-1")
    assert inhibit([down, slow("postgres")], GRAPH) == (down, slow("postgres"))


def test_nothing_wrong_has_no_cause() -> None:
    assert rank([], GRAPH) == ()
    assert rank([Symptom("UserLatencyHigh", "gateway", "latency", "p95")], GRAPH) == ()


def test_a_caller_is_explained_by_its_callee() -> None:
    causes = rank([slow("query", "ServiceLatencyHigh"), slow("llm", "ServiceLatencyHigh"), slow("llm", edge=("generation", "llm"))], GRAPH)
    assert [(c.service, c.kind) for c in causes] == [("llm", "latency")]


def test_two_true_causes_are_both_named() -> None:
    down = Symptom("InstanceDown", "retrieval", "crash", "gone", instance="retrieval-1")
    causes = rank([down, Symptom("RateLimited", "llm", "rate_limit", "429", edge=("generation", "llm"))], GRAPH)
    assert [(c.service, c.kind) for c in causes] == [("retrieval", "crash"), ("llm", "rate_limit")]
    assert causes[0] == Cause("retrieval", "crash", 0.95, "gone", ("retrieval-1",), ("InstanceDown",))


def test_a_constant_series_has_floors_under_its_scale() -> None:
    baseline = Baseline(floor=0.01)
    for _ in range(20):
        baseline.learn(0.1)
    assert baseline.score(0.1 + 1e-12) < 1e-6
    assert baseline.score(0.2) > 8


def test_before_the_probation_nothing_is_far_out() -> None:
    baseline = Baseline(floor=0.01)
    baseline.learn(0.1)
    assert baseline.score(100.0) == 0.0
