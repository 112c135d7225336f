"""Faults of what watches the system: scrapes that hang or lie, logs that are lost, alerts that reach nobody. Silence is not health."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Literal

from pydantic import Field

from harness.faults.base import AlertWebhook, Context, Evidence, FaultError, Target, TargetedFault, act, capability, instance_of
from harness.faults.http_look import LookError, ask
from harness.faults.process import NoParameters, pick_instance
from harness.scenario.catalog import ALERT_WEBHOOK, FaultParameters, FaultSpec
from harness.stack.base import Instance, Logged, Observable

SCRAPE_S = 1.0
WEBHOOK_LOOK_S = 0.5
LOG_TAIL_BYTES = 64 * 1024


class TelemetryFault(TargetedFault[FaultParameters]):
    """One instance can be observed in another way than before; it serves as ever."""

    def __init__(self, target: Target, parameters: FaultParameters, context: Context) -> None:
        super().__init__(pick_instance(target, context), parameters, context)
        assert self.target.instance is not None, "just picked"
        self.name: str = self.target.instance

    def heal(self) -> None:
        self.set({})

    def set(self, telemetry: Mapping[str, str]) -> None:
        """Raises FaultError."""
        act(
            f"changing the telemetry of {self.name}", lambda: capability(self.context.stack, Observable).set_telemetry(self.name, telemetry)
        )

    def instance(self) -> Instance:
        """As the stack describes it now. Raises FaultError."""
        return instance_of(self.context.stack, self.name, self.target.service)

    def serves(self) -> bool:
        """Its own work is not impaired."""
        return self.context.stack.probe(self.instance()) is None

    def scrape(self) -> bytes | None:
        """Its metrics; None when they do not come."""
        try:
            answer = ask(f"{self.instance().url}/metrics", self.context.clock, timeout_s=SCRAPE_S)
        except LookError:
            return None
        return answer.body if answer.status == 200 else None


class MetricsParameters(FaultParameters):
    """Parameters of `observability.metrics_lost`."""

    mode: Literal["hang", "error"] = Field(default="hang", description="a scrape gets no answer, or status 500")


class MetricsLost(TelemetryFault):
    """The metrics endpoint does not answer any more, or with an error."""

    spec = FaultSpec(
        name="observability.metrics_lost",
        summary="One instance serves as ever, and its metrics endpoint hangs, or answers with an error.",
        kind="observability",
        parameters=MetricsParameters,
        targets=("service", "instance"),
        needs=("Observable",),
        evidence="a scrape of the harness gets no metrics while the readiness probe succeeds; gone: it gets them",
        example="{id: blind, type: observability.metrics_lost, target: retrieval-1, at: fault, for: 30s, with: {mode: hang}}",
        only_roles=("http",),
    )
    parameters: MetricsParameters

    def inject(self) -> None:
        self.set({"metrics": self.parameters.mode})

    def verify(self) -> Evidence | None:
        return {"instance": self.name, "scraped": False, "ready": True} if self.scrape() is None and self.serves() else None

    def gone(self) -> Evidence | None:
        found = self.scrape()
        return None if found is None else {"instance": self.name, "scraped_bytes": len(found)}


class MetricsStale(TelemetryFault):
    """The metrics endpoint repeats what it said once."""

    spec = FaultSpec(
        name="observability.metrics_stale",
        summary="One instance serves as ever, and its metrics endpoint repeats the values of one moment.",
        kind="observability",
        parameters=NoParameters,
        targets=("service", "instance"),
        needs=("Observable",),
        evidence="scrapes are the same byte for byte, though a request of the harness between them should count; gone: they differ",
        example="{id: frozen-metrics, type: observability.metrics_stale, target: retrieval-1, at: fault, for: 30s}",
        only_roles=("http",),
    )

    def inject(self) -> None:
        self.set({"metrics": "stale"})

    def verify(self) -> Evidence | None:
        same = self._same()
        return {"instance": self.name, "requests_not_counted": 1} if same and self.serves() else None

    def gone(self) -> Evidence | None:
        return {"instance": self.name, "requests_counted": 1} if self._same() is False else None

    def _same(self) -> bool | None:
        """Whether a scrape repeats the one before a request of ours; None when there are no metrics."""
        before = self.scrape()
        try:
            ask(f"{self.instance().url}/", self.context.clock)  # no route, and yet counted
        except LookError as error:
            raise FaultError(str(error)) from error
        after = self.scrape()
        return None if before is None or after is None else before == after


class LogsLost(TelemetryFault):
    """Log lines go nowhere."""

    spec = FaultSpec(
        name="observability.logs_lost",
        summary="One instance serves as ever, and its log lines are lost.",
        kind="observability",
        parameters=NoParameters,
        targets=("service", "instance"),
        needs=("Observable", "Logged"),
        evidence="a request of the harness leaves no line with its id in the instance's log; gone: it does",
        example="{id: no-logs, type: observability.logs_lost, target: retrieval-1, at: fault, for: 30s}",
        only_roles=("http",),
    )
    WITHIN_S = 0.5

    def __init__(self, target: Target, parameters: FaultParameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self._ids = count(1)

    def inject(self) -> None:
        self.set({"logs": "lose"})

    def verify(self) -> Evidence | None:
        return {"instance": self.name, "logged": False, "ready": True} if self.serves() and not self._logged() else None

    def gone(self) -> Evidence | None:
        return {"instance": self.name, "logged": True} if self._logged() else None

    def _logged(self) -> bool:
        """Whether a request of ours shows in the log. Raises FaultError."""
        clock = self.context.clock
        request_id = f"{self.context.random.getrandbits(48):012x}-{next(self._ids)}"
        try:
            ask(f"{self.instance().url}/", clock, headers={"x-request-id": request_id})
        except LookError as error:
            raise FaultError(str(error)) from error
        path = capability(self.context.stack, Logged).log_path(self.name)
        for _ in range(5):
            with path.open("rb") as log:
                log.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
                if request_id.encode() in log.read():
                    return True
            clock.sleep(self.WITHIN_S / 5)
        return False


class WebhookParameters(FaultParameters):
    """Parameters of `observability.alert_webhook_down`."""

    mode: Literal["error", "hang"] = Field(default="error", description="a post gets status 503, or no answer")


class AlertWebhookDown(TargetedFault[WebhookParameters]):
    """Alerts are received by nobody. The services are as ever: who takes silence for health is wrong, and so is who blames one of them.

    Nothing of it outlives the harness, which is the receiver.
    """

    spec = FaultSpec(
        name="observability.alert_webhook_down",
        summary="The run's receiver of alerts answers with an error, or not at all: what is said meanwhile must be said again.",
        kind="none",
        parameters=WebhookParameters,
        targets=("webhook",),
        needs=(),
        evidence="a post of the harness to the webhook gets 503, or no answer; gone: it is read (and refused, for it says nothing)",
        example=f"{{id: unheard, type: observability.alert_webhook_down, target: {ALERT_WEBHOOK}, at: fault, for: 15s}}",
        benign=True,
    )

    def inject(self) -> None:
        self._webhook.set_alerts_down(self.parameters.mode)

    def verify(self) -> Evidence | None:
        status = self._status()
        if status != (503 if self.parameters.mode == "error" else None):
            return None
        return {"status": status, "posts_refused": self._webhook.alerts_refused}

    def heal(self) -> None:
        self._webhook.set_alerts_down(None)

    def gone(self) -> Evidence | None:
        status = self._status()
        return {"status": status} if status is not None and 400 <= status < 500 else None

    @property
    def _webhook(self) -> AlertWebhook:
        if self.context.webhook is None:
            raise FaultError("nobody is on call: there is no webhook that could be down")
        return self.context.webhook

    def _status(self) -> int | None:
        """Of a post that says nothing, and so leaves no claim; None where no answer comes."""
        headers = {"authorization": f"Bearer {self._webhook.token}"}
        try:
            return ask(
                self._webhook.alerts_url, self.context.clock, method="POST", headers=headers, body={}, timeout_s=WEBHOOK_LOOK_S
            ).status
        except LookError:
            return None


FAULTS = (MetricsLost, MetricsStale, LogsLost, AlertWebhookDown)
