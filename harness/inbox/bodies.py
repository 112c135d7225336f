"""The bodies that the inbox accepts, parsed once at the edge."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from harness.scenario.model import KINDS

DIAGNOSIS_KINDS = frozenset(KINDS) - {"none"}
_CAUSES_AT_MOST = 3

Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=4000)]


class _Own(BaseModel):
    """A body that this project defines: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WebhookAlert(BaseModel):
    """One alert of an Alertmanager webhook; what is not named here is theirs and ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, str] = Field(min_length=1)
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: str = Field(default="", alias="startsAt")
    ends_at: str = Field(default="", alias="endsAt")
    fingerprint: str | None = None

    def to_event(self) -> dict[str, Any]:
        """The fields of an ALERT event."""
        return {
            "fingerprint": self.fingerprint or fingerprint_of(self.labels),
            "status": self.status,
            "labels": self.labels,
            "annotations": self.annotations,
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
        }


class Webhook(BaseModel):
    """Alertmanager's webhook, version 4: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: Literal["4"] = "4"
    alerts: list[WebhookAlert] = Field(max_length=1000)


class CauseBody(_Own):
    """One ranked cause. `service` may be an edge, `caller->callee`."""

    service: Name
    kind: str
    confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    evidence: Text = ""

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in DIAGNOSIS_KINDS:
            raise ValueError(f"no such kind; there are: {', '.join(sorted(DIAGNOSIS_KINDS))}")
        return kind


class DiagnosisBody(_Own):
    """At most three causes, best first; none is an abstention."""

    causes: list[CauseBody] = Field(max_length=_CAUSES_AT_MOST)


class EscalationBody(_Own):
    """The incident goes to a person."""

    service: Name | None = None
    reason: Annotated[str, Field(min_length=1, max_length=4000)]
    diagnosis_id: Name | None = None


class ActionBody(_Own):
    """A recovery action."""

    verb: Literal["restart", "scale", "failover", "rollback", "clear_cache", "shed_load", "switch_provider", "reset_pool", "reindex"]
    service: Name
    instance: Name | None = None
    args: dict[str, Any] = Field(default_factory=dict)
    diagnosis_id: Name | None = None


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """The identity of an alert that brings none: a digest of its sorted labels, 16 hexadecimal digits."""
    text = "\xff".join(f"{name}\xfe{value}" for name, value in sorted(labels.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
