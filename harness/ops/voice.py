"""Speaks over HTTP: the Alertmanager webhook, diagnoses, escalations, actions.

An alert is kept until it is received. Any other word that is lost is retried, then logged: what it was about may be over by then.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from harness.ops import claims
from harness.ops.diagnosis.ranking import Cause
from harness.ops.monitoring.alerts import Alert
from harness.ops.outbox import LostError, Outbox
from harness.ops.recovery.controller import Handover
from harness.ops.recovery.strategies import Step
from harness.ops.targets import Targets

TIMEOUT_S = 2.0
ATTEMPTS = 3
ALERT_PATIENCE_S = 0.5
"""How long a round waits for an alert to be received, before it goes on watching."""
LAST_PATIENCE_S = 1.0


class HttpVoice:
    """Posts to the URLs of the targets file; one that is absent is skipped and logged."""

    def __init__(self, targets: Targets, wall_offset_s: float, told: Callable[[Mapping[str, Any]], None] | None = None) -> None:
        """`told` gets a document for each thing that was said, with its answer; default: it is logged."""
        self._targets = targets
        self._told = told or log
        self._wall_offset_s = wall_offset_s
        headers = {"authorization": f"Bearer {targets.token}"} if targets.token else {}
        self._client = httpx.Client(timeout=TIMEOUT_S, headers=headers)
        self._outbox = Outbox(self._deliver, lambda body, answer: self._told({"what": "alerts", "body": body, "answer": answer}))

    def alerts(self, changed: list[Alert]) -> None:
        body = claims.webhook(changed, self._wall_offset_s)
        if self._targets.claims.get("alerts") is None:
            self._told({"what": "alerts", "body": body, "answer": {}})
        else:
            self._outbox.put(body, ALERT_PATIENCE_S)

    def diagnosis(self, causes: tuple[Cause, ...]) -> str | None:
        answer = self._post("diagnosis", self._targets.claims.get("diagnoses"), claims.diagnosis(causes))
        return answer.get("diagnosis_id")

    def act(self, step: Step, diagnosis_id: str | None) -> bool:
        return not self._refused(self._post("action", self._targets.actions_url, claims.action(step, diagnosis_id)).get("action_id"))

    def escalate(self, handover: Handover, diagnosis_id: str | None) -> None:
        self._post("escalation", self._targets.claims.get("escalations"), claims.escalation(handover, diagnosis_id))

    def close(self) -> None:
        if lost := self._outbox.close(LAST_PATIENCE_S):
            self._told({"what": "alerts", "answer": {"error": f"{lost} were received by nobody"}})
        self._client.close()

    def _deliver(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """One try. Raises LostError."""
        try:
            response = self._client.post(self._targets.claims["alerts"], json=body)
        except httpx.HTTPError as error:
            raise LostError(f"{type(error).__name__}: {error}") from error
        if response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise LostError(f"{response.status_code}: {response.text[:300]}")
        return _answer(response)

    def _refused(self, action_id: object) -> bool:
        """Everything is taken; whether it can be done at all is known at once, how it ends is seen by what it does. Who is busy, or not
        heard, has refused nothing."""
        if action_id is None or self._targets.actions_url is None:
            return False
        try:
            state = _answer(self._client.get(f"{self._targets.actions_url}/{action_id}"))
        except (httpx.HTTPError, ValueError):
            return False
        return state.get("status") == "refused"

    def _post(self, what: str, url: str | None, body: Mapping[str, Any]) -> Mapping[str, Any]:
        outcome: Mapping[str, Any] = {}
        if url is not None:
            try:
                outcome = self._send(url, body)
            except (httpx.HTTPError, ValueError) as error:
                outcome = {"error": f"{type(error).__name__}: {error}"}
        self._told({"what": what, "body": body, "answer": outcome})
        return outcome

    def _send(self, url: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        retrying = Retrying(
            retry=retry_if_exception_type(httpx.TransportError),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(0.1, max=1),
            reraise=True,
        )
        return _answer(retrying(self._client.post, url, json=body))


def _answer(response: httpx.Response) -> Mapping[str, Any]:
    """Its JSON object, or what is wrong. Raises ValueError for a body that is none."""
    if response.is_error:
        return {"error": f"{response.status_code}: {response.text[:300]}"}
    document = response.json() if response.content else {}
    return document if isinstance(document, dict) else {}


def log(document: Mapping[str, Any]) -> None:
    """One JSON line on standard output: the operator's own log."""
    sys.stdout.write(json.dumps(document, default=str) + "\n")
    sys.stdout.flush()
