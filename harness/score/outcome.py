"""How a fault ended for users.

Users are looked at through windows of 5 s, a second apart, wholly between onset and the harness's own heal. A window is *violated* when an
exact binomial test rejects a limit of steady_state at 95 %: one stray failure among 125 requests does not reject 99.5 %, three do. It is
*within* when no limit is rejected and at least one of them has ten samples, and *unknown* otherwise: too few samples credit nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from harness.record import events as ev
from harness.record.events import Event
from harness.record.history import History
from harness.record.pieces import Requests, Rows
from harness.record.requests import Outcome as Ended
from harness.record.views import FaultTruth
from harness.scenario.model import Scenario
from harness.scenario.slis import SliName
from harness.scenario.units import Limit
from harness.score import sli as slis
from harness.score import stats
from harness.score.context import Context
from harness.score.detection import radius
from harness.score.preconditions import Preconditions
from harness.score.recovery import right_actions
from harness.score.spans import NS_PER_S, Span, active, began, seconds, sliding
from harness.score.validity import baseline_reason

WINDOW_S = 5.0
STEP_S = 1.0
HOLD_S = 10.0
WINDOW_SAMPLES = 10
GOES_DOWN = frozenset({"crash", "hang"})  # kinds of fault that the harness's own readiness probe sees


class State(Enum):
    """Of one window."""

    WITHIN = "within"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FaultOutcome:
    """`word` is absorbed, recovered, self_healed, healed_by_harness or not_recovered; None when it cannot be told, for `reason`.

    `regained_ns` is the start of the regained stretch, of an absorbed fault the time at which redundancy was whole again; None where
    that did not happen before the heal. `relapsed`: limits were left again after they had been regained.
    """

    fault_id: str
    word: str | None
    reason: str
    onset_ns: int | None = None
    left_ns: int | None = None  # the start of the first violated window
    regained_ns: int | None = None
    relapsed: bool = False

    @property
    def regained_s(self) -> float | None:
        """Onset to regained."""
        return seconds(self.onset_ns, self.regained_ns) if self.onset_ns is not None and self.regained_ns is not None else None


def outcome(history: History, scenario: Scenario, fault: FaultTruth) -> FaultOutcome:
    """The outcome of one fault."""
    return history.once(("outcome", fault.id), lambda: _outcome(history, scenario, fault), of=scenario)


def _outcome(history: History, scenario: Scenario, fault: FaultTruth) -> FaultOutcome:
    span = active(fault, history)
    reason = _undecidable(history, scenario, fault)
    if reason is not None or span is None:
        return FaultOutcome(fault.id, None, reason or f"fault {fault.id} has no onset")
    windows = list(sliding(span, WINDOW_S, STEP_S))
    seen = history.between(span.start_ns, span.end_ns).through(lambda rows: _as_of(rows, span.end_ns))
    *states, at_end = _states(seen, scenario, Context.of(history), [*windows, _tail(span)])
    if State.VIOLATED not in states:
        return _unviolated(history, fault, span, states)
    left = states.index(State.VIOLATED)
    regained = _hold_from(states, left + 1)
    if regained is None or _lost_at_end(states, at_end):
        word, why = _after_heal(history, scenario, fault)
        return FaultOutcome(fault.id, word, why, span.start_ns, windows[left].start_ns)
    regained_ns = windows[regained].start_ns
    # A window already counts as within when its first second was still bad, so an action may come up to a step after its start.
    helped = [a for a in right_actions(history, fault) if a.t_ns <= regained_ns + STEP_S * NS_PER_S]
    word = "recovered" if helped else "self_healed"
    why = f"after {helped[-1].verb} of {helped[-1].instance or helped[-1].service}" if helped else "without any action that could heal it"
    relapsed = State.VIOLATED in states[regained + 1 :]
    after_s = seconds(span.start_ns, regained_ns)
    reason = f"within limits again {after_s:g}s after onset {why}{', and left them again later' if relapsed else ''}"
    return FaultOutcome(fault.id, word, reason, span.start_ns, windows[left].start_ns, regained_ns, relapsed)


def _undecidable(history: History, scenario: Scenario, fault: FaultTruth) -> str | None:
    before = Preconditions(history, scenario)
    use = next((f for f in scenario.faults if f.id == fault.id), None)
    if use is None:
        return f"the scenario has no fault {fault.id}"
    reason = before.fault(use.id) or before.gone(use) or before.measured(use.phase) or baseline_reason(history, scenario)
    if reason is None and fault.heal_intended_ns is None:
        reason = f"fault {fault.id} was never healed"
    if reason is None and not any(True for _ in _limits(scenario)):
        reason = "steady_state has no absolute objective on a share or a percentile, so there are no limits that users could leave"
    return reason


def _limits(scenario: Scenario) -> Iterator[tuple[SliName, Limit]]:
    """Of steady_state: those that a share of bad requests can break."""
    for name, limit in scenario.limits("steady_state"):
        if (name.percentile or name.unit == "ratio") and slis.bounds(name, limit.op):
            yield name, limit


def _states(requests: Requests, scenario: Scenario, context: Context, windows: Sequence[Span]) -> list[State]:
    """Of each window. One limit after the other: what they look at need not be in memory together."""
    counted: list[list[tuple[stats.Block, float]]] = [[] for _ in windows]
    for name, limit in _limits(scenario):
        proportion = slis.proportion(slis.observe(requests, name, context), name, limit.op, limit.value)
        if proportion is not None:
            for of_window, block in zip(counted, proportion.counts(windows), strict=True):
                of_window.append((block, proportion.allowed))
    return [_state(of_window) for of_window in counted]


def _as_of(rows: Rows, heal_ns: int) -> Rows:
    """The requests as they stood when the harness healed: help that came by the heal is not the service's own.

    Who had waited a window's length or longer counts as a timeout; younger ones in flight say nothing yet.
    """
    in_flight = (rows["intended_ns"] < heal_ns) & (rows["end_ns"] > heal_ns)
    waited = in_flight & (rows["intended_ns"] <= heal_ns - round(WINDOW_S * NS_PER_S))
    seen = rows.copy()
    seen["outcome"][waited] = Ended.TIMEOUT
    seen["end_ns"][waited] = heal_ns
    seen["first_ns"] = np.where(waited & (seen["first_ns"] > heal_ns), 0, seen["first_ns"])
    kept: Rows = seen[waited | ~in_flight]
    return kept


def _state(counts: Sequence[tuple[stats.Block, float]]) -> State:
    if any(stats.exceeds(bad, n, allowed) for (bad, n), allowed in counts):
        return State.VIOLATED
    return State.WITHIN if any(n >= WINDOW_SAMPLES for (_, n), _ in counts) else State.UNKNOWN


def _hold_from(states: Sequence[State], start: int) -> int | None:
    """The first window from `start` on that begins a stretch of HOLD_S in which every window is within limits."""
    windows = round((HOLD_S - WINDOW_S) / STEP_S) + 1
    for i in range(start, len(states) - windows + 1):
        if all(s is State.WITHIN for s in states[i : i + windows]):
            return i
    return None


def _tail(span: Span) -> Span:
    """Its last ten seconds."""
    return Span(max(span.start_ns, span.end_ns - round(HOLD_S * NS_PER_S)), span.end_ns)


def _lost_at_end(states: Sequence[State], at_end: State) -> bool:
    """Were users outside of the limits when the harness healed? The last window and the last ten seconds must both say so."""
    return states[-1] is State.VIOLATED and at_end is State.VIOLATED


def _unviolated(history: History, fault: FaultTruth, span: Span, states: Sequence[State]) -> FaultOutcome:
    unknown = sum(1 for s in states if s is State.UNKNOWN)
    if not states or unknown:
        return FaultOutcome(fault.id, None, f"{unknown} of {len(states)} windows during the fault hold too few samples", span.start_ns)
    blind = _blind(history, fault, span)
    if blind is not None:
        return FaultOutcome(fault.id, None, blind, span.start_ns)
    pending, restored_ns = _redundancy(history, fault, span)
    if not pending:
        when = f", redundancy whole again {seconds(span.start_ns, restored_ns):g}s after onset" if restored_ns > span.start_ns else ""
        return FaultOutcome(fault.id, "absorbed", f"limits were never left{when}", span.start_ns, None, restored_ns)
    later = {str(e.data.get("instance")) for e in history.of_kind(ev.INSTANCE) if e.t_ns >= span.end_ns and e.data.get("state") == "ready"}
    word = "healed_by_harness" if pending <= later else "not_recovered"
    return FaultOutcome(
        fault.id, word, f"limits were never left, but {', '.join(sorted(pending))} came not back before the heal", span.start_ns
    )


def _blind(history: History, fault: FaultTruth, span: Span) -> str | None:
    """Is it unknown whether the instances that users depend on were up? Absorbed says that all of them are again."""
    seen = {str(e.data.get("instance")) for e in history.of_kind(ev.INSTANCE)}
    started = [e.data.get("instances", {}) for e in history.of_kind(ev.STACK) if e.data.get("state") == "ready"]
    wanted = {str(name) for services in started for service, names in services.items() if service in radius(fault) for name in names}
    unseen = sorted((wanted | ({fault.instance} if fault.instance is not None else set())) - seen)
    if not started or unseen:
        return f"the record never says whether {', '.join(unseen) or fault.service} was up"
    instances = fault.instances or ((fault.instance,) if fault.instance is not None else ())
    field, hit = ("instance", set(instances)) if instances else ("service", {fault.service})
    down = {e.data.get(field) for e in _turns(history, fault, span) if e.data.get("state") == "down"}
    if fault.kind in GOES_DOWN and down.isdisjoint(hit):
        return f"the record never says that {' or '.join(sorted(hit))} was down, so nobody was watching whether it came back"
    return None


def _turns(history: History, fault: FaultTruth, span: Span) -> Iterator[Event]:
    """Instances that the readiness probe saw go down or come back while the fault may have been at work.

    That is from `intended` on: an engine's kill takes longer than a look of the probe, so what dies may be seen down before `injected`.
    A state that was already the last one known is no turn.
    """
    at_work = Span(began(fault, span.start_ns), span.end_ns)
    known: dict[object, object] = {}
    for event in history.of_kind(ev.INSTANCE):
        name, state = event.data.get("instance"), event.data.get("state")
        if at_work.holds(event.t_ns) and known.get(name) != state:
            yield event
        known[name] = state


def _redundancy(history: History, fault: FaultTruth, span: Span) -> tuple[frozenset[str], int]:
    """Instances of the blast radius that went down during the fault and are down at the heal, and when the last other one was back."""
    down: set[str] = set()
    restored_ns = span.start_ns
    for event in _turns(history, fault, span):
        if event.data.get("service") not in radius(fault):
            continue
        name = str(event.data.get("instance"))
        if event.data.get("state") == "down":
            down.add(name)
        elif name in down:
            down.discard(name)
            restored_ns = max(span.start_ns, event.t_ns)
    return frozenset(down), restored_ns


def _after_heal(history: History, scenario: Scenario, fault: FaultTruth) -> tuple[str | None, str]:
    healed_ns = fault.healed_ns if fault.healed_ns is not None else fault.heal_intended_ns or 0
    onsets = [f.onset_ns for f in history.faults if f.onset_ns is not None and f.onset_ns > healed_ns]
    ends = [p.end_ns for p in history.phases if p.end_ns is not None]
    span = Span(healed_ns, min([*onsets, max(ends, default=history.end_ns)]))
    after = history.between(span.start_ns, span.end_ns)
    states = _states(after, scenario, Context.of(history), list(sliding(span, WINDOW_S, STEP_S)))
    if _hold_from(states, 0) is not None:
        return "healed_by_harness", "users were outside of the limits until the harness healed the fault"
    known = [s for s in states if s is not State.UNKNOWN]
    if span.length_s < HOLD_S or not known:
        return None, f"limits were not regained before the heal, and {span.length_s:.1f}s of record after it are too few to tell the rest"
    return "not_recovered", "users were outside of the limits, also after the harness had healed the fault"
