"""The first screen: may it ship, why not, what broke first, who noticed, how long users suffered. Each in a sentence or two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.record.requests import Outcome
from harness.record.views import FaultTruth
from harness.report.material import Material, by_severity, clean
from harness.report.stories import ended, target
from harness.score.check import Result, Status
from harness.score.detection import detect
from harness.score.diagnosis import diagnose
from harness.score.outcome import WINDOW_S, FaultOutcome
from harness.score.people import people
from harness.score.show import show

REASONS = 3  # told on the first screen; the table has all
SHIP = {
    Status.PASS: "Yes. Everything that was asked was shown to hold.",
    Status.WARN: "Yes, with care. It holds, but not comfortably.",
    Status.INCONCLUSIVE: "Not on this evidence. The run does not tell, and that is not a pass.",
    Status.FAIL: "No. At least one thing that was asked does not hold.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A question, and what the run says to it, one sentence an item."""

    question: str
    told: tuple[str, ...]


def answers(material: Material) -> tuple[Answer, ...]:
    """The five, in this order."""
    status = material.verdict.status
    bitten = sorted((f for f in material.history.faults if not f.benign and f.onset_ns is not None), key=lambda f: f.onset_ns or 0)
    return (
        Answer("May it ship?", (SHIP[status],)),
        Answer("Why?" if status is Status.PASS else "Why not?", tuple(_why(material))),
        Answer("What broke first?", tuple(_first(material, bitten))),
        Answer("Who noticed?", tuple(_noticed(material, bitten))),
        Answer("How long did users suffer?", tuple(_suffered(material, bitten))),
    )


def _why(material: Material) -> Iterator[str]:
    verdict = material.verdict
    worst = [r for r in by_severity(verdict.results) if r.status is verdict.status]
    if verdict.status is Status.PASS or not worst or clean(worst[0].name) not in clean(verdict.reason):
        yield clean(verdict.reason)  # of the gate as a whole
    if verdict.status is not Status.PASS:
        told = list(dict.fromkeys(_reason(r) for r in worst))
        yield from told[:REASONS]
        if len(told) > REASONS:
            yield f"and {len(told) - REASONS} more, below"


def _reason(result: Result) -> str:
    return f"{clean(result.name)}: {clean(result.reason)}"


def _first(material: Material, bitten: list[FaultTruth]) -> Iterator[str]:
    if not bitten:
        declared = len(material.scenario.faults)
        yield f"None of {declared} faults was shown to bite." if declared else "Nothing was broken on purpose."
        return
    fault = bitten[0]
    yield f"{clean(fault.type)} on {clean(target(fault))}, {show(material.seconds(fault.onset_ns), 's')} into the run."
    left = [(e.left_ns, f) for f in bitten if (e := ended(material, f)).left_ns is not None]
    if left:
        at_ns, of = min(left, key=lambda pair: pair[0] or 0)
        yield f"Users left the limits of steady_state within {show(_between(of.onset_ns, at_ns) + WINDOW_S, 's')} of {clean(of.id)}."
    if len(bitten) > 1:
        yield f"{len(bitten) - 1} more {'fault' if len(bitten) == 2 else 'faults'} followed."


def _noticed(material: Material, bitten: list[FaultTruth]) -> Iterator[str]:
    score, of_people = detect(material.history), people(material.history)
    seen = {f.fault_id: f.people.noticed_s for f in of_people.faults if f.people.noticed_s is not None} if of_people is not None else {}
    for fault in bitten:
        found, named = score.of(fault.id), diagnose(material.history, fault)
        of = f" ({clean(fault.id)})" if len(bitten) > 1 else ""
        if found is None or found.delay_s is None or found.episode is None:
            yield f"No alert told of it{of}." if fault.id in seen else f"Nobody: no alert about it{of}."
            continue
        who = f"The alert {clean(found.episode.name)} after {show(found.delay_s, 's')}{of}"
        if named is None or not named.causes:
            yield f"{who}; no cause was named in time."
        else:
            cause = named.causes[0]
            right = "rightly" if named.kind_right else "wrongly"
            yield f"{who}; {clean(cause.service)}/{clean(cause.kind)} was named, {right}, after {show(named.at_s, 's')}."
    for fault_id, after_s in seen.items():
        yield f"People saw {clean(fault_id)} after {show(after_s, 's')}."
    if not bitten:
        yield (
            "There was nothing to notice."
            if score.episodes == 0
            else f"{score.episodes} alerts, with nothing broken that is known to bite."
        )
    elif score.false_alarms:
        yield f"False alarms: {len(score.false_alarms)}."


def _suffered(material: Material, bitten: list[FaultTruth]) -> Iterator[str]:
    for fault in bitten:
        of = f" ({clean(fault.id)})" if len(bitten) > 1 else ""
        yield _how_long(material, fault, ended(material, fault)) + of + "."
    failed, all_requests = _failed(material)
    yield f"{failed:,} of {all_requests:,} requests failed in the whole run."


def _how_long(material: Material, fault: FaultTruth, found: FaultOutcome) -> str:
    """By windows of some seconds, so no finer than those."""
    if found.word is None:
        return f"It cannot be told: {clean(found.reason)}"
    if found.left_ns is None:
        return f"Not at all: {found.word.replace('_', ' ')}"
    end_ns = {"healed_by_harness": fault.healed_ns, "not_recovered": material.history.end_ns}.get(found.word, found.regained_ns)
    until = {"healed_by_harness": "until the harness healed it", "not_recovered": "and still at the end"}.get(found.word, found.word)
    again = ", and again later" if found.relapsed else ""
    return f"About {show(round(_between(found.left_ns, end_ns)), 'number')} s, {until.replace('_', '-')}{again}"


def _failed(material: Material) -> tuple[int, int]:
    failed = total = 0
    for rows in material.history.requests.pieces():
        failed += int((rows["outcome"] != Outcome.OK).sum())
        total += len(rows)
    return failed, total


def _between(start_ns: int | None, end_ns: int | None) -> float:
    return ((end_ns or 0) - (start_ns or 0)) / 1e9
