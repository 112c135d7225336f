"""The one type that goes through the record: an event, and the words it may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Source = Literal["truth", "telemetry", "claim"]

SCHEMA_VERSION = 1

# Kinds of event. One line each in docs/record.md; the fields of each are read by record/views.py.
PHASE = "phase"  # name, state: start | end, planned_start_ns, planned_end_ns
STACK = "stack"  # state: starting | ready | failed | stopping | stopped, detail
CANDIDATE = "candidate"  # of a run that serves two versions: state: starting | ready | failed | stopped, detail, instances
DEPLOY = "deploy"  # of a deploy: step and what it did, or gate, name, what it is about, status and reason
INSTANCE = "instance"  # service, instance, state: ready | down (the harness's own readiness probe)
PROBE = "probe"  # id, ok: true | false | null (it could not be asked), took_s, value, detail
SAMPLER = "sampler"  # state: failed, detail: the harness's own look at metrics and readiness went wrong
FAULT = "fault"  # id, step, and on `intended` the whole truth (views.FaultTruth)
ALERT = "alert"  # the Alertmanager alert: status, labels, annotations, fingerprint, starts_at
DIAGNOSIS = "diagnosis"  # diagnosis_id, causes: [{service, kind, confidence, evidence}]
ACTION = "action"  # action_id, step: requested | performed | failed | refused, verb, service, instance, args
ESCALATION = "escalation"  # service, reason, diagnosis_id
GAMEDAY = "gameday"  # by: master | players, do: what a person did (docs/gameday.md), and the fields of that
OPERATOR = "operator"  # state: started | exited | stopped, returncode
LOAD = "load"  # state: started | finished | failed | probe, and the generator's own figures
ABORT = "abort"  # objective, value, for_s
RESET = "reset"  # what the harness put back between faults or at the end
FINGERPRINT = "fingerprint"  # left: what differs, after all faults were healed, from the world before the first
INTERRUPTED = "interrupted"  # signal
WATCHDOG = "watchdog"  # state: started | took_over | took_back | died | failed | finished, detail
ENDED = "ended"  # the last event of a whole record: complete: true, ending (completed, or why it was early), events before it, providers

FAULT_STEPS = ("skipped", "intended", "injected", "effective", "not_effective", "heal_intended", "healed", "gone", "not_gone", "failed")


_RESERVED = frozenset({"t_ns", "kind", "source"})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at `t_ns` (monotonic nanoseconds of the host)."""

    t_ns: int
    kind: str
    source: Source
    data: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if taken := _RESERVED & self.data.keys():
            raise ValueError(f"event data may not be called {', '.join(sorted(taken))}: it would overwrite the event's own")

    def to_json(self) -> dict[str, Any]:
        """A flat document; `t_ns`, `kind` and `source` are reserved names."""
        return {"t_ns": self.t_ns, "kind": self.kind, "source": self.source, **self.data}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Event:
        """The inverse of `to_json`; unknown fields survive in `data`. Raises KeyError for a document that is no event."""
        data = {k: v for k, v in document.items() if k not in ("t_ns", "kind", "source")}
        return cls(t_ns=int(document["t_ns"]), kind=str(document["kind"]), source=document["source"], data=data)
