"""Claims and actions over HTTP: what is answered, what is recorded, what the stack is asked to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from harness.inbox import Inbox
from harness.inbox.bodies import fingerprint_of
from harness.record import views
from harness.record.clock import SystemClock
from harness.record.events import ACTION, Event
from tests.unit.inbox.stacks import AbleStack, BareStack

WEBHOOK = {
    "version": "4",
    "groupKey": '{}:{alertname="HighLatency"}',
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "webhook",
    "groupLabels": {"alertname": "HighLatency"},
    "commonLabels": {"alertname": "HighLatency"},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager:9093",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "HighLatency", "service": "llm", "severity": "page"},
            "annotations": {"summary": "slow"},
            "startsAt": "2026-08-01T10:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph",
            "fingerprint": "c0ffee0123456789",
        },
        {"status": "resolved", "labels": {"alertname": "Down", "service": "cache"}, "annotations": {}, "startsAt": "2026-08-01T10:00:00Z"},
    ],
}


class Case:
    """An inbox on a stack, a client with its token, and the events it recorded."""

    def __init__(self, stack: BareStack) -> None:
        self.stack = stack
        self.events: list[Event] = []
        self.inbox = Inbox(stack, self._record, SystemClock(), "secret")
        self.inbox.start()
        self.client = httpx.Client(base_url=self.inbox.url, headers={"authorization": "Bearer secret"})

    def _record(self, event: Event) -> Event:
        self.events.append(event)
        return event

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.client.post(path, json=body)

    def act(self, verb: str, service: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Request an action and wait for its end: (HTTP status, final state or error)."""
        response = self.post("/actions", {"verb": verb, "service": service, **fields})
        document = response.json()
        if response.status_code != 202:
            return response.status_code, document
        deadline = time.monotonic() + 60
        while (state := self.client.get(f"/actions/{document['action_id']}").json())["status"] == "requested":
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return 202, state

    def close(self) -> None:
        self.stack.release.set()
        self.client.close()
        self.inbox.stop()


@pytest.fixture
def able() -> Iterator[Case]:
    case = Case(AbleStack())
    yield case
    case.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Case]:
    """For requests that must leave nothing behind."""
    case = Case(AbleStack())
    yield case
    case.close()


@pytest.fixture
def bare() -> Iterator[Case]:
    case = Case(BareStack())
    yield case
    case.close()


def test_each_alert_of_an_alertmanager_webhook_is_an_event(able: Case) -> None:
    before_ns = time.monotonic_ns()
    assert able.post("/claims/alerts", WEBHOOK).json() == {"received": 2}
    first, second = views.alerts(able.events)
    assert (first.fingerprint, first.name, first.service, first.status, first.severity) == (
        "c0ffee0123456789",
        "HighLatency",
        "llm",
        "firing",
        "page",
    )
    assert second.fingerprint == fingerprint_of({"service": "cache", "alertname": "Down"})
    assert second.status == "resolved"
    assert before_ns <= first.t_ns == second.t_ns <= time.monotonic_ns()
    assert able.events[0].to_json() == {
        "t_ns": first.t_ns,
        "kind": "alert",
        "source": "claim",
        "fingerprint": "c0ffee0123456789",
        "status": "firing",
        "labels": {"alertname": "HighLatency", "service": "llm", "severity": "page"},
        "annotations": {"summary": "slow"},
        "starts_at": "2026-08-01T10:00:00Z",
        "ends_at": "0001-01-01T00:00:00Z",
    }


def test_fingerprints_tell_labels_apart_and_not_their_order() -> None:
    assert fingerprint_of({"a": "1", "b": "2"}) == fingerprint_of({"b": "2", "a": "1"})
    assert len({fingerprint_of(labels) for labels in ({"a": "1"}, {"a": "2"}, {"a1": ""}, {"a": "1", "b": ""})}) == 4


def test_diagnoses_and_escalations_are_recorded_as_they_came(able: Case) -> None:
    causes = [
        {"service": "retrieval->postgres", "kind": "network", "confidence": 0.9, "evidence": "p95 of postgres calls x8"},
        {"service": "postgres", "kind": "latency"},
    ]
    answer = able.post("/claims/diagnoses", {"causes": causes})
    assert (answer.status_code, answer.json()) == (201, {"diagnosis_id": "d-1"})
    assert able.post("/claims/diagnoses", {"causes": []}).json() == {"diagnosis_id": "d-2"}
    assert able.post("/claims/escalations", {"reason": "no verb heals a network", "diagnosis_id": "d-1"}).status_code == 201
    first, abstention = views.diagnoses(able.events)
    assert first.causes == (
        views.Cause("retrieval->postgres", "network", 0.9, "p95 of postgres calls x8"),
        views.Cause("postgres", "latency", 0.0),
    )
    assert abstention.causes == ()
    (escalation,) = views.escalations(able.events)
    assert (escalation.service, escalation.reason, escalation.diagnosis_id) == (None, "no verb heals a network", "d-1")
    assert {e.source for e in able.events} == {"claim"}


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/claims/alerts", {"version": "3", "alerts": []}, 422, "version"),
        ("/claims/alerts", {"alerts": [{"status": "odd", "labels": {"a": "b"}}]}, 422, "alerts.0.status"),
        ("/claims/alerts", {"alerts": [{"status": "firing", "labels": {}}]}, 422, "alerts.0.labels"),
        ("/claims/alerts", {"alerts": [{"status": "firing", "labels": {"a": 1}}]}, 422, "alerts.0.labels.a"),
        ("/claims/alerts", {}, 422, "alerts"),
        ("/claims/diagnoses", {"causes": [{"service": "a", "kind": "latency"}] * 4}, 422, "at most 3"),
        ("/claims/diagnoses", {"causes": [{"service": "a", "kind": "none"}]}, 422, "no such kind; there are: clock, config"),
        ("/claims/diagnoses", {"causes": [{"service": "a", "kind": "cpu", "confidence": 1.5}]}, 422, "confidence"),
        ("/claims/diagnoses", {"causes": [{"service": "", "kind": "cpu"}]}, 422, "service"),
        ("/claims/diagnoses", {"causes": [{"service": "a", "kind": "cpu", "proof": "x"}]}, 422, "causes.0.proof"),
        ("/claims/escalations", {"service": "a"}, 422, "reason"),
        ("/actions", {"verb": "explode", "service": "llm"}, 422, "verb"),
        ("/actions", {"verb": "restart", "service": "nothing"}, 422, "there are: gateway, generation, llm"),
        ("/actions", {"verb": "restart", "service": "llm", "instance": "llm-9"}, 422, "has no 'llm-9'; there are: llm-1"),
        ("/actions", {"verb": "scale", "service": "llm"}, 422, "args.replicas"),
        ("/actions", {"verb": "scale", "service": "llm", "args": {"replicas": True}}, 422, "args.replicas"),
        ("/actions", {"verb": "scale", "service": "llm", "args": {"replicas": 9}}, 422, "args.replicas"),
        ("/actions", {"verb": "shed_load", "service": "gateway", "args": {"ratio": 1.1}}, 422, "args.ratio"),
        ("/actions", {"verb": "switch_provider", "service": "llm", "args": {"provider": "x"}}, 422, "args.provider"),
        ("/actions", {"verb": "rollback", "service": "llm", "args": {"version": 2}}, 422, "args.version"),
    ],
)
def test_bad_bodies_are_explained_counted_and_leave_no_claim(shared: Case, path: str, body: Any, status: int, message: str) -> None:
    before = shared.inbox.rejected.get(path, 0)
    answer = shared.post(path, body)
    assert (answer.status_code, shared.events, shared.inbox.rejected[path]) == (status, [], before + 1)
    assert message in answer.json()["error"]["message"]


def test_what_is_no_json_too_long_or_without_the_token_is_rejected(able: Case) -> None:
    assert able.client.post("/claims/alerts", content=b"{").status_code == 400
    assert able.client.post("/claims/alerts", content=b" " * (1024 * 1024 + 1)).status_code == 413
    assert httpx.post(f"{able.inbox.url}/actions", json={"verb": "restart", "service": "llm"}).status_code == 401
    assert httpx.get(f"{able.inbox.url}/actions/a-1", headers=[(b"authorization", b"Bearer \xe4")]).status_code == 401
    assert able.client.get("/actions/a-1").status_code == 404
    assert able.inbox.rejected == {"/claims/alerts": 2, "/actions": 1, "/actions/a-1": 1}
    assert able.events == []


@pytest.mark.parametrize(
    ("request_fields", "calls"),
    [
        ({"verb": "restart", "service": "retrieval", "instance": "retrieval-2"}, [("restart", "retrieval-2")]),
        ({"verb": "restart", "service": "retrieval"}, [("restart", "retrieval-1"), ("restart", "retrieval-2")]),
        ({"verb": "restart", "service": "generation"}, [("restart", "generation-2")]),
        ({"verb": "scale", "service": "retrieval", "args": {"replicas": 3}}, [("scale", "retrieval", 3)]),
        ({"verb": "failover", "service": "retrieval", "instance": "retrieval-1"}, [("rotation", "retrieval-1", False)]),
        ({"verb": "failover", "service": "generation"}, [("rotation", "generation-2", False)]),
        ({"verb": "rollback", "service": "retrieval"}, [("deploy", "retrieval", "1.0.0")]),
        ({"verb": "rollback", "service": "retrieval", "args": {"version": "0.9"}}, [("deploy", "retrieval", "0.9")]),
        ({"verb": "clear_cache", "service": "gateway"}, [("clear_cache",)]),
        ({"verb": "shed_load", "service": "gateway", "args": {"ratio": 0.3}}, [("configure", {"shed_ratio": 0.3})]),
        ({"verb": "switch_provider", "service": "llm"}, [("configure", {"llm_provider": "llm_fallback"})]),
        ({"verb": "switch_provider", "service": "llm", "args": {"provider": "llm"}}, [("configure", {"llm_provider": "llm"})]),
        ({"verb": "reset_pool", "service": "retrieval"}, [("configure", {"pool_epoch": 1})]),
    ],
)
def test_each_verb_is_performed_by_its_capability(able: Case, request_fields: dict[str, Any], calls: list[Any]) -> None:
    able.stack.not_ready = {"generation-2"}
    status, state = able.act(**request_fields)
    assert (status, state["status"], able.stack.calls) == (202, "performed", calls)
    (action,) = views.actions(able.events)
    assert (action.verb, action.service, action.status, action.detail) == (
        request_fields["verb"],
        request_fields["service"],
        "performed",
        state["detail"],
    )
    assert action.done_ns is not None and action.t_ns <= action.done_ns
    assert [(e.source, e.data["step"]) for e in able.events] == [("claim", "requested"), ("truth", "performed")]


def test_switching_twice_comes_back_and_epochs_only_grow(able: Case) -> None:
    able.act("switch_provider", "llm")
    able.act("switch_provider", "llm")
    assert isinstance(able.stack, AbleStack)
    able.stack.settings["pool_epoch"] = 7
    able.act("reset_pool", "retrieval")
    assert able.stack.settings == {"llm_provider": "llm", "pool_epoch": 8, "shed_ratio": 0.0}


def test_an_action_that_fails_says_why(able: Case) -> None:
    status, state = able.act("restart", "gateway")
    assert (status, state) == (202, {"action_id": "a-1", "status": "failed", "detail": "StackError: gateway-1 did not become ready"})
    assert (
        able.act("failover", "retrieval")[1]["detail"]
        == "StackError: every instance of retrieval is ready; name the one to take out of rotation"
    )
    assert [a.status for a in views.actions(able.events)] == ["failed", "failed"]


def test_a_verb_that_the_stack_cannot_perform_is_recorded_as_refused(bare: Case) -> None:
    args = {"scale": {"replicas": 2}, "shed_load": {"ratio": 0.5}}
    verbs = ["restart", "scale", "failover", "rollback", "clear_cache", "shed_load", "switch_provider", "reset_pool", "reindex"]
    answers = [bare.act(verb, "llm", args=args.get(verb, {})) for verb in verbs]
    assert [status for status, _ in answers] == [422] * 9
    assert answers[0][1]["error"]["message"] == "bare: restart needs the capability Restartable, which this stack lacks"
    assert [a.status for a in views.actions(bare.events)] == ["refused"] * 9
    assert bare.client.get("/actions/a-9").json()["status"] == "refused"
    assert bare.stack.calls == []


def test_one_action_at_a_time_for_a_service_and_others_beside_it(able: Case) -> None:
    able.stack.release.clear()
    body = {"verb": "restart", "service": "retrieval", "instance": "retrieval-1"}
    assert able.post("/actions", body).json()["action_id"] == "a-1"
    busy = able.post("/actions", body)
    assert (busy.status_code, busy.json()["action_id"]) == (409, "a-1")
    assert able.post("/actions", {"verb": "clear_cache", "service": "gateway"}).status_code == 202
    able.stack.release.set()
    able.inbox.stop()
    assert sorted(able.stack.calls) == [("clear_cache",), ("restart", "retrieval-1")]
    assert [a.status for a in views.actions(able.events)] == ["performed", "performed"]
    assert sum(e.kind == ACTION and e.data["step"] == "requested" for e in able.events) == 2


def test_stop_is_idempotent_and_closes_the_port(able: Case) -> None:
    able.inbox.stop()
    able.inbox.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{httpx.URL(able.client.base_url).port}/actions/a-1")


def test_a_webhook_that_is_down_receives_nothing_and_the_rest_goes_on(bare: Case) -> None:
    bare.inbox.set_alerts_down("error")
    assert bare.post("/claims/alerts", WEBHOOK).status_code == 503
    bare.inbox.set_alerts_down("hang")
    with pytest.raises(httpx.ReadTimeout):
        bare.client.post("/claims/alerts", json=WEBHOOK, timeout=0.2)
    assert bare.post("/claims/escalations", {"reason": "nobody answers"}).status_code == 201
    assert ([event.kind for event in bare.events], bare.inbox.alerts_refused) == (["escalation"], 2)
    bare.inbox.set_alerts_down(None)
    assert bare.post("/claims/alerts", WEBHOOK).status_code == 200
    assert len(bare.events) == 3
