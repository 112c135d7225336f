"""Typed readings of the events: phases, faults and claims. All pure, all tolerant of a record that stops in the middle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.record import events as ev
from harness.record.events import Event


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """A named span of the run. `end_ns` is None when the record stops inside it.

    Its borders are the planned ones, which arrivals follow, whenever the harness came a little later to write them down.
    """

    name: str
    start_ns: int
    end_ns: int | None
    planned_end_ns: int

    @property
    def complete(self) -> bool:
        return self.end_ns is not None


@dataclass(frozen=True, slots=True)
class FaultTruth:
    """What is true of one injected fault. Steps that never happened are None."""

    id: str
    type: str
    kind: str  # the kind a right diagnosis names; "none" for a benign change
    service: str  # the target's service; of an edge, its callee
    edge: tuple[str, str] | None = None  # (caller, callee) when the fault sits on an edge
    instance: str | None = None  # where it is a single one
    instances: tuple[str, ...] = ()  # all that it hits, where it hits instances
    accepted: tuple[str, ...] = ()  # services, or "caller->callee", that a right diagnosis may name
    blast_radius: tuple[str, ...] = ()  # services whose alerts belong to this fault
    recoverable_by: tuple[str, ...] = ()  # verbs; empty: none heals it, escalation is wanted
    benign: bool = False
    intended_ns: int | None = None
    injected_ns: int | None = None
    effective_ns: int | None = None
    heal_intended_ns: int | None = None
    healed_ns: int | None = None
    gone_ns: int | None = None
    failure: str | None = None  # why a step failed, was not effective, or is not gone
    evidence: Mapping[str, Any] = field(default_factory=dict)  # by step

    @property
    def onset_ns(self) -> int | None:
        """The moment of injection, once evidence confirms that it bit; None without evidence."""
        return self.injected_ns if self.effective_ns is not None else None


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert notification as received (`t_ns` is the receipt)."""

    t_ns: int
    fingerprint: str
    name: str
    service: str | None
    status: str  # firing | resolved
    severity: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cause:
    """One ranked cause of a diagnosis. `service` may be an edge, written `caller->callee`."""

    service: str
    kind: str
    confidence: float
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """At most three ranked causes, best first; empty means abstention."""

    t_ns: int
    diagnosis_id: str
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Action:
    """A recovery action: requested by the operator, performed by the stack's capability."""

    t_ns: int
    action_id: str
    verb: str
    service: str
    instance: str | None
    args: Mapping[str, Any]
    diagnosis_id: str | None
    done_ns: int | None = None
    status: str = "requested"  # requested | performed | failed | refused
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Escalation:
    """The operator handed the incident to a person."""

    t_ns: int
    service: str | None
    reason: str
    diagnosis_id: str | None


def phases(events: Iterable[Event]) -> tuple[PhaseSpan, ...]:
    """Phases in the order they started."""
    spans: dict[str, PhaseSpan] = {}
    for event in events:
        if event.kind != ev.PHASE:
            continue
        name = str(event.data["name"])
        if event.data["state"] == "start":
            start_ns = int(event.data.get("planned_start_ns", event.t_ns))
            spans[name] = PhaseSpan(name, start_ns, None, int(event.data["planned_end_ns"]))
        elif name in spans:
            spans[name] = replace(spans[name], end_ns=min(event.t_ns, spans[name].planned_end_ns))
    return tuple(spans.values())


def faults(events: Iterable[Event]) -> tuple[FaultTruth, ...]:
    """Faults in the order they were intended."""
    truths: dict[str, FaultTruth] = {}
    for event in events:
        if event.kind != ev.FAULT:
            continue
        fault_id, step = str(event.data["id"]), str(event.data["step"])
        if step == "intended":
            truths[fault_id] = _intended(event)
        elif fault_id in truths:
            truths[fault_id] = _after(truths[fault_id], step, event)
    return tuple(truths.values())


def _intended(event: Event) -> FaultTruth:
    data = event.data
    edge = data.get("edge")
    return FaultTruth(
        id=str(data["id"]),
        type=str(data["type"]),
        kind=str(data["fault_kind"]),  # `kind` is the event's own
        service=str(data["service"]),
        edge=(str(edge[0]), str(edge[1])) if edge else None,
        instance=_optional(data.get("instance")),
        instances=_names(data, "instances"),
        accepted=_names(data, "accepted"),
        blast_radius=_names(data, "blast_radius"),
        recoverable_by=_names(data, "recoverable_by"),
        benign=bool(data.get("benign", False)),
        intended_ns=event.t_ns,
    )


def _after(truth: FaultTruth, step: str, event: Event) -> FaultTruth:
    evidence = {**truth.evidence, step: event.data.get("evidence", {})}
    if step in ("failed", "not_effective", "not_gone"):
        return replace(truth, failure=f"{step}: {event.data.get('reason', 'no reason recorded')}", evidence=evidence)
    # A step may carry its own time: evidence is often dated before the event that reports it.
    at_ns = int(event.data.get("at_ns", event.t_ns))
    return _at_step(replace(truth, evidence=evidence), step, at_ns)


def _at_step(truth: FaultTruth, step: str, at_ns: int) -> FaultTruth:
    """Date a step once: a watchdog may heal again what the harness healed, and only the first time counts."""
    match step:
        case "injected":
            return truth if truth.injected_ns is not None else replace(truth, injected_ns=at_ns)
        case "effective":
            return truth if truth.effective_ns is not None else replace(truth, effective_ns=at_ns)
        case "heal_intended":
            return truth if truth.heal_intended_ns is not None else replace(truth, heal_intended_ns=at_ns)
        case "healed":
            return truth if truth.healed_ns is not None else replace(truth, healed_ns=at_ns)
        case "gone":
            return truth if truth.gone_ns is not None else replace(truth, gone_ns=at_ns)
        case _:  # a step of a newer schema
            return truth


def alerts(events: Iterable[Event]) -> tuple[Alert, ...]:
    """Alert notifications in order of receipt."""
    return tuple(_alert(e) for e in events if e.kind == ev.ALERT)


def _alert(event: Event) -> Alert:
    labels = {str(k): str(v) for k, v in event.data.get("labels", {}).items()}
    return Alert(
        t_ns=event.t_ns,
        fingerprint=str(event.data["fingerprint"]),
        name=labels.get("alertname", ""),
        service=labels.get("service"),
        status=str(event.data["status"]),
        severity=labels.get("severity", ""),
        labels=labels,
        annotations={str(k): str(v) for k, v in event.data.get("annotations", {}).items()},
    )


def diagnoses(events: Iterable[Event]) -> tuple[Diagnosis, ...]:
    """Diagnoses in order of receipt."""
    return tuple(
        Diagnosis(e.t_ns, str(e.data["diagnosis_id"]), tuple(_cause(c) for c in e.data["causes"])) for e in events if e.kind == ev.DIAGNOSIS
    )


def _cause(document: Mapping[str, Any]) -> Cause:
    return Cause(
        service=str(document["service"]),
        kind=str(document["kind"]),
        confidence=float(document.get("confidence", 0.0)),
        evidence=str(document.get("evidence", "")),
    )


def actions(events: Iterable[Event]) -> tuple[Action, ...]:
    """Actions in order of request, each with what became of it."""
    found: dict[str, Action] = {}
    for event in events:
        if event.kind != ev.ACTION:
            continue
        action_id, step = str(event.data["action_id"]), str(event.data["step"])
        if step == "requested":
            found[action_id] = Action(
                t_ns=event.t_ns,
                action_id=action_id,
                verb=str(event.data["verb"]),
                service=str(event.data["service"]),
                instance=_optional(event.data.get("instance")),
                args=event.data.get("args", {}),
                diagnosis_id=_optional(event.data.get("diagnosis_id")),
            )
        elif action_id in found:
            found[action_id] = replace(found[action_id], done_ns=event.t_ns, status=step, detail=str(event.data.get("detail", "")))
    return tuple(found.values())


def unreadable(event: Event) -> str | None:
    """Why an event cannot be read by the view of its kind; None for one that can, and for kinds that have no view."""
    try:
        _VIEWS.get(event.kind, len)((event,))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError) as error:
        return f"{event.kind}: {type(error).__name__}: {error}"
    return None


def escalations(events: Iterable[Event]) -> tuple[Escalation, ...]:
    """Escalations in order of receipt."""
    return tuple(_escalation(e) for e in events if e.kind == ev.ESCALATION)


def _escalation(event: Event) -> Escalation:
    service, diagnosis_id = (_optional(event.data.get(name)) for name in ("service", "diagnosis_id"))
    return Escalation(event.t_ns, service, str(event.data.get("reason", "")), diagnosis_id)


def _optional(value: object) -> str | None:
    return None if value is None else str(value)


def _names(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of names. Raises TypeError for what is none: half a truth would credit the wrong services."""
    value = data.get(key, [])
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise TypeError(f"{key} is no list of names")
    return tuple(value)


def _step(events: tuple[Event, ...]) -> FaultTruth:
    """One step of a fault by itself."""
    (event,) = events
    step = str(event.data["step"])
    blank = FaultTruth(id=str(event.data["id"]), type="", kind="", service="")
    return _intended(event) if step == "intended" else _after(blank, step, event)


_VIEWS: Mapping[str, Callable[[tuple[Event, ...]], object]] = {
    ev.PHASE: phases,
    ev.FAULT: _step,
    ev.ALERT: alerts,
    ev.DIAGNOSIS: diagnoses,
    ev.ACTION: actions,
    ev.ESCALATION: escalations,
}
