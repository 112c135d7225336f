"""How people fared on a game day, by what they said with their own buttons, beside the machines. Nothing here asserts anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.record.events import GAMEDAY, Event
from harness.record.history import History
from harness.record.views import FaultTruth
from harness.score.detection import DetectionScore, detect
from harness.score.diagnosis import diagnose, right_names
from harness.score.recovery import actions_for
from harness.score.spans import after_onset, of_claims


@dataclass(frozen=True, slots=True)
class Side:
    """When one side noticed, named the cause and acted, in seconds after the onset; None where it did not."""

    noticed_s: float | None
    named: str | None  # `llm/latency`, of people the last thing they thought
    named_s: float | None
    right: bool  # service and kind
    acted_s: float | None


@dataclass(frozen=True, slots=True)
class FaultScore:
    """One fault that bit, and both sides."""

    fault_id: str
    people: Side
    machines: Side
    guesses: tuple[str, ...]  # all that people thought, in order


@dataclass(frozen=True, slots=True)
class PeopleScore:
    """A game day. `cried`: how often people saw something where nothing was."""

    faults: tuple[FaultScore, ...]
    cried: int


def people(history: History) -> PeopleScore | None:
    """None of a run without people."""
    day = list(history.of_kind(GAMEDAY))
    if not day:
        return None
    said = [e for e in day if e.data.get("by") == "players"]
    bitten = [f for f in history.faults if not f.benign and f.onset_ns is not None]
    spans = [span for f in bitten if (span := of_claims(history, f)) is not None]
    cried = sum(1 for e in said if e.data.get("do") == "saw" and not any(span.holds(e.t_ns) for span in spans))
    alerts = detect(history)
    return PeopleScore(tuple(_score(history, fault, said, alerts) for fault in bitten), cried)


def _score(history: History, fault: FaultTruth, said: Sequence[Event], alerts: DetectionScore) -> FaultScore:
    span = of_claims(history, fault)
    within = [e for e in said if span is not None and span.holds(e.t_ns)]
    guesses = [e for e in within if e.data.get("do") == "suspect"]
    right = next((e for e in guesses if _is_right(fault, e)), None)
    told = right or (guesses[-1] if guesses else None)
    side = Side(
        noticed_s=_first(fault, [e for e in within if e.data.get("do") in ("saw", "suspect", "acted")]),
        named=None if told is None else _guess(told),
        named_s=None if told is None else _first(fault, [told]),
        right=right is not None,
        acted_s=_first(fault, [e for e in within if e.data.get("do") == "acted"]),
    )
    return FaultScore(fault.id, side, _machines(history, fault, alerts), tuple(_guess(e) for e in guesses))


def _machines(history: History, fault: FaultTruth, alerts: DetectionScore) -> Side:
    alert, named = alerts.of(fault.id), diagnose(history, fault)
    cause = named.causes[0] if named is not None and named.causes else None
    acted = [after_onset(fault.onset_ns, a.t_ns) for a in actions_for(history, fault) if fault.onset_ns is not None]
    return Side(
        noticed_s=alert.delay_s if alert is not None else None,
        named=None if cause is None else f"{cause.service}/{cause.kind}",
        named_s=named.at_s if named is not None and cause is not None else None,
        right=named is not None and named.kind_right,
        acted_s=min(acted, default=None),
    )


def _is_right(fault: FaultTruth, event: Event) -> bool:
    return event.data.get("service") in right_names(fault) and event.data.get("fault_kind") == fault.kind


def _guess(event: Event) -> str:
    return f"{event.data.get('service')}/{event.data.get('fault_kind')}"


def _first(fault: FaultTruth, events: Sequence[Event]) -> float | None:
    return after_onset(fault.onset_ns, events[0].t_ns) if events and fault.onset_ns is not None else None
