"""Scores a replay: the run's truth, the replayed operator's claims.

Judged is what an operator claims and decides. What became of users (outcomes, objectives) is a fact of the run, and not judged again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from harness.record import events as ev
from harness.record.events import Event
from harness.record.history import History
from harness.record.views import FaultTruth
from harness.replay.parting import Parting
from harness.scenario.model import Expect, RootCause, Scenario
from harness.score import diagnosis, expect, recovery
from harness.score.check import Result, Status, run_safely
from harness.score.detection import about, detect
from harness.score.spans import NS_PER_S, of_claims

CLAIMS = (ev.ALERT, ev.DIAGNOSIS, ev.ACTION, ev.ESCALATION, ev.OPERATOR)
_FACTS = ("outcome", "within", "harmful_actions", "callers")  # of the run, whoever is on call in the replay


def with_claims(history: History, claims: Iterable[Event]) -> History:
    """The run with another operator's claims in the place of its own."""
    kept = [e for e in history.events if e.kind not in CLAIMS]
    return replace(history, events=tuple(sorted((*kept, *claims), key=lambda e: e.t_ns)))


def asked(scenario: Scenario) -> Scenario:
    """What of a scenario a replay can answer: expectations of claims and decisions. The replayed operator is on call in any case."""
    left = [entry.model_copy(update=dict.fromkeys(_FACTS)) for entry in scenario.expect]
    on_call = scenario.operator.model_copy(update={"enabled": True})
    return scenario.model_copy(update={"expect": left, "operator": on_call, "gate": None})


def judge(replayed: History, scenario: Scenario, partings: Sequence[Parting]) -> tuple[Result, ...]:
    """Every expectation of `asked(scenario)`, in the order of the file."""
    results = run_safely("expect", expect.check, replayed, scenario)
    entries = {f"expect.{entry.fault or 'run'}.{name}": entry for entry in scenario.expect for name in expect.fields(entry)}
    return tuple(_parted(result, entries.get(result.name), replayed, scenario, partings) for result in results)


def _parted(result: Result, entry: Expect | None, replayed: History, scenario: Scenario, partings: Sequence[Parting]) -> Result:
    if entry is None or result.status is Status.INCONCLUSIVE:
        return result
    if entry.fault is None:
        return _run_wide(result, replayed, scenario, partings)
    parting = next((p for p in partings if p.fault_id == entry.fault), None)
    fault = replayed.fault(entry.fault)
    if parting is None or fault is None or _decided_ns(result, entry, fault, replayed) <= parting.at_ns:
        return result
    return _unknown(result, [parting], replayed)


def _run_wide(result: Result, replayed: History, scenario: Scenario, partings: Sequence[Parting]) -> Result:
    """A count stands if it is broken without what was claimed apart from the run; it cannot pass where something may have been claimed."""
    if not partings:
        return result
    if result.status is Status.FAIL:
        comparable = [e for e in replayed.events if e.kind not in CLAIMS or e.kind == ev.OPERATOR or not _apart(e, partings)]
        again = run_safely("expect", expect.check, replace(replayed, events=tuple(comparable)), scenario)
        if any(r.name == result.name and r.status is Status.FAIL for r in again):
            return result
    return _unknown(result, partings, replayed)


def _apart(event: Event, partings: Sequence[Parting]) -> bool:
    return any(p.holds(event.t_ns) for p in partings)


def _unknown(result: Result, partings: Sequence[Parting], replayed: History) -> Result:
    at_s = (partings[0].at_ns - replayed.start_ns) / NS_PER_S
    reason = f"from {at_s:.1f}s on the replay is not the run: {partings[0].why}; in the replay: {result.reason}"
    return replace(result, status=Status.INCONCLUSIVE, reason=reason)


def _decided_ns(result: Result, entry: Expect, fault: FaultTruth, replayed: History) -> int:
    """When it was settled how this check ends, whatever came later."""
    return min(_settling(result, entry, fault, replayed), default=_window_end_ns(fault, replayed))


def _settling(result: Result, entry: Expect, fault: FaultTruth, replayed: History) -> Iterator[int]:
    onset_ns = fault.onset_ns or 0
    field, _, alert = result.name.removeprefix(f"expect.{fault.id}.").partition(".")
    match field:
        case "alert":
            found = detect(replayed).of(fault.id)
            if found is not None and found.episode is not None:
                yield found.episode.start_ns
            if entry.alert is not None and result.status is Status.FAIL:
                yield onset_ns + round(entry.alert.value * NS_PER_S)
        case "alerts":
            yield from (e.start_ns for e in about(replayed, fault) if e.name == alert)
            if entry.alerts is not None and result.status is Status.FAIL:
                yield onset_ns + round(entry.alerts[alert].value * NS_PER_S)
        case "root_cause" if isinstance(entry.root_cause, RootCause):
            yield onset_ns + round(diagnosis.DUE_S * NS_PER_S)
            yield from (a.t_ns for a in recovery.actions_for(replayed, fault)[:1])
        case "root_cause":
            yield from (d.t_ns for d in diagnosis.claimed_causes(replayed, fault)[:1])
        case "action":
            wanted = [entry.action] if isinstance(entry.action, str) else list(entry.action or [])
            taken = recovery.actions_for(replayed, fault)
            settles = result.status is Status.PASS or wanted == ["none"]
            yield from (a.t_ns for a in taken if settles and (a.verb in wanted or wanted == ["none"]))
        case "escalated":
            yield from (e.t_ns for e in recovery.escalations_for(replayed, fault)[:1])


def _window_end_ns(fault: FaultTruth, replayed: History) -> int:
    span = of_claims(replayed, fault)
    return span.end_ns if span is not None else replayed.end_ns
