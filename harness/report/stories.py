"""What became of each fault, as one line a person can read: onset, alert, diagnosis, action, regained, outcome."""

from __future__ import annotations

from dataclasses import dataclass

from harness.record.views import Action, Diagnosis, Escalation, FaultTruth
from harness.report.material import Material, clean
from harness.score.check import Result, Status
from harness.score.detection import Detection, detect
from harness.score.outcome import FaultOutcome, outcome
from harness.score.recovery import actions_for, escalations_for, in_window
from harness.score.show import show

NO = "none"


@dataclass(frozen=True, slots=True)
class Story:
    """One fault. Times are texts relative to the onset, or say why there is none."""

    fault_id: str
    type: str
    target: str
    onset: str
    alert: str
    diagnosis: str
    action: str
    regained: str
    outcome: str
    status: Status | None  # the worst of the checks about this fault; None without any

    def line(self) -> str:
        """Everything, on one line."""
        parts = (
            f"{self.type} on {self.target}, onset {self.onset}",
            f"alert {self.alert}",
            f"diagnosis {self.diagnosis}",
            f"action {self.action}",
            f"regained {self.regained}",
            f"outcome {self.outcome}",
        )
        return f"{self.fault_id}: " + "; ".join(parts)


def stories(material: Material) -> tuple[Story, ...]:
    """One story for each fault that was intended, in order."""
    score = detect(material.history)
    found = []
    for fault in material.history.faults:
        detection, end = score.of(fault.id), ended(material, fault)
        results = [r for r in material.verdict.results if r.name.startswith(f"expect.{fault.id}.")]
        found.append(
            Story(
                fault_id=fault.id,
                type=fault.type,
                target=target(fault),
                onset=_onset(material, fault),
                alert=_alert(detection),
                diagnosis=_diagnosis(material, fault),
                action=_action(material, fault),
                regained=NO if end.regained_s is None else f"+{show(end.regained_s, 's')}",
                outcome="a benign change" if fault.benign else end.word or f"unknown ({clean(end.reason)})",
                status=_worst(results),
            )
        )
    return tuple(found)


def target(fault: FaultTruth) -> str:
    """`retrieval->postgres`, `retrieval-2` or `llm`."""
    return "->".join(fault.edge) if fault.edge else fault.instance or fault.service


def _onset(material: Material, fault: FaultTruth) -> str:
    at_s = material.seconds(fault.onset_ns)
    if at_s is not None:
        return f"at {at_s:.1f}s"
    return f"not proved ({clean(fault.failure)})" if fault.failure else "not proved"


def ended(material: Material, fault: FaultTruth) -> FaultOutcome:
    """How it ended for users; without a word where the scorer crashes."""
    try:
        return outcome(material.history, material.scenario, fault)
    except Exception as error:  # noqa: BLE001  # the same scorer's crash is an INCONCLUSIVE check; a report of it must still be written
        return FaultOutcome(fault.id, None, f"scorer crashed: {error}")


def _alert(detection: Detection | None) -> str:
    if detection is None or detection.delay_s is None:
        return NO
    name = clean(detection.episode.name) if detection.episode else ""
    return f"+{show(detection.delay_s, 's')}" + (f" ({name})" if name else "")


def _diagnosis(material: Material, fault: FaultTruth) -> str:
    first: Diagnosis | None = next((d for d in material.history.diagnoses if in_window(material.history, fault, d.t_ns)), None)
    if first is None:
        return NO
    if not first.causes:
        return f"abstained {_after(fault, first.t_ns)}"
    cause = first.causes[0]
    return f"{clean(cause.service)}/{clean(cause.kind)} {_after(fault, first.t_ns)}"


def _action(material: Material, fault: FaultTruth) -> str:
    claims: list[Action | Escalation] = [*actions_for(material.history, fault), *escalations_for(material.history, fault)]
    parts = [_one(fault, claim) for claim in sorted(claims, key=lambda claim: claim.t_ns)]
    return ", ".join(parts[:3]) + (f" and {len(parts) - 3} more" if len(parts) > 3 else "") if parts else NO


def _one(fault: FaultTruth, claim: Action | Escalation) -> str:
    if isinstance(claim, Escalation):
        return f"escalated {_after(fault, claim.t_ns)}"
    status = "" if claim.status == "performed" else f" ({clean(claim.status)})"
    return f"{clean(claim.verb)} {clean(claim.instance or claim.service)} {_after(fault, claim.t_ns)}{status}"


def _after(fault: FaultTruth, t_ns: int) -> str:
    return f"+{show(round((t_ns - (fault.onset_ns or 0)) / 1e9, 1), 's')}"


def _worst(results: list[Result]) -> Status | None:
    order = (Status.FAIL, Status.INCONCLUSIVE, Status.WARN, Status.PASS)
    return next((status for status in order if any(r.status is status for r in results)), None)
