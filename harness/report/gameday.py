"""A game day in a report: what people decided and said, how they and the machines fared, and what is to be done now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from harness.record.events import FAULT, GAMEDAY, Event
from harness.report.material import Material, by_severity, clean
from harness.score.check import Status
from harness.score.people import PeopleScore, Side, people
from harness.score.show import show

WORDS = {
    "approve": "approved", "skip": "skipped", "reveal": "revealed the truth", "stop": "pressed the emergency stop", "saw": "saw something",
    "suspect": "thought it is", "acted": "acted", "note": "noted",
}  # fmt: skip
NOT = "not"


@dataclass(frozen=True, slots=True)
class Told:
    """Ready to be shown: (when, who, what) of all that happened, (fault, who, noticed, named, acted) of scores, and follow-ups."""

    diary: tuple[tuple[str, str, str], ...]
    scores: tuple[tuple[str, str, str, str, str], ...]
    cried: int
    follow_ups: tuple[str, ...]


def told(material: Material) -> Told | None:
    """None of a run without people."""
    score = people(material.history)
    if score is None:
        return None
    return Told(tuple(_diary(material)), tuple(_scores(score)), score.cried, tuple(dict.fromkeys(_follow_ups(material, score))))


def _diary(material: Material) -> Iterator[tuple[str, str, str]]:
    for event in material.history.events:
        at = f"{material.seconds(event.t_ns) or 0.0:.1f}s"
        if event.kind == GAMEDAY:
            yield at, clean(event.data.get("by")), _what(event)
        elif event.kind == FAULT and event.data.get("step") in ("injected", "healed", "skipped"):
            reason = f": {clean(event.data['reason'])}" if event.data.get("reason") else ""
            yield at, "harness", f"{clean(event.data['id'])} {event.data['step']}{reason}"


def _what(event: Event) -> str:
    data = event.data
    parts = [WORDS.get(str(data.get("do")), clean(data.get("do")))]
    if data.get("service"):
        parts.append(f"{clean(data['service'])}/{clean(data.get('fault_kind'))}")
    if data.get("fault"):
        parts.append(clean(data["fault"]))
    if data.get("with"):
        parts.append(f"with {clean(json.dumps(data['with'], ensure_ascii=False))}")
    if data.get("target"):
        parts.append(f"on {clean(data['target'])}")
    text = data.get("text") or data.get("reason")
    return " ".join(parts) + (f": {clean(text)}" if text else "") + (" (to do)" if data.get("follow_up") else "")


def _scores(score: PeopleScore) -> Iterator[tuple[str, str, str, str, str]]:
    for fault in score.faults:
        for who, side in (("people", fault.people), ("machines", fault.machines)):
            yield clean(fault.fault_id), who, _after(side.noticed_s), _named(side), _after(side.acted_s)


def _after(delay_s: float | None) -> str:
    return NOT if delay_s is None else f"after {show(delay_s, 's')}"


def _named(side: Side) -> str:
    return NOT if side.named is None else f"{clean(side.named)}, {'rightly' if side.right else 'wrongly'}, {_after(side.named_s)}"


def _follow_ups(material: Material, score: PeopleScore) -> Iterator[str]:
    """What people wrote down, then what follows from the record."""
    for event in material.history.of_kind(GAMEDAY):
        if event.data.get("follow_up"):
            yield f"{clean(event.data.get('text'))} ({clean(event.data.get('by'))})"
    for fault in score.faults:
        if fault.machines.noticed_s is None:
            yield f"No alert told of {clean(fault.fault_id)}: add one."
        if fault.people.noticed_s is None:
            yield f"Nobody said that they saw {clean(fault.fault_id)}: look at what the dashboards show of it."
        if fault.guesses and not fault.people.right:
            taken_for = ", ".join(clean(guess) for guess in fault.guesses)
            yield f"People took {clean(fault.fault_id)} for {taken_for}: write down how to tell them apart."
    for result in by_severity(material.verdict.results):
        if result.status is Status.FAIL:
            yield f"{clean(result.name)}: {clean(result.reason)}"
    for event in material.history.of_kind(FAULT):
        if event.data.get("step") == "skipped":
            yield f"{clean(event.data['id'])} was not injected: play it another time."
