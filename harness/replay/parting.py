"""When a replay leaves the path of its run.

Actions cannot change the past. As long as the replayed operator does what the live one did, it lives in the world that it acts on. From
the first action in which they differ, until the fault's window is over, the telemetry is that of another world: what is decided by then
counts, what is decided later is INCONCLUSIVE (docs/replay.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from harness.record.history import History
from harness.record.views import Action, FaultTruth
from harness.score.spans import NS_PER_S, Span, of_claims


@dataclass(frozen=True, slots=True)
class Parting:
    """(at_ns, end_ns): the stretch of one fault's window in which replay and run are not comparable. `why` names the action."""

    fault_id: str
    at_ns: int
    end_ns: int
    why: str

    def holds(self, t_ns: int) -> bool:
        """The action at the parting itself was decided before it."""
        return self.at_ns < t_ns < self.end_ns


def partings(live: History, replayed: History, tolerance_s: float) -> tuple[Parting, ...]:
    """At most one for each fault. Actions are the same when they ask for the same, no further apart than `tolerance_s`."""
    found = (_parting(fault, live, replayed, round(tolerance_s * NS_PER_S)) for fault in live.faults)
    return tuple(p for p in found if p is not None)


def _parting(fault: FaultTruth, live: History, replayed: History, tolerance_ns: int) -> Parting | None:
    span = of_claims(live, fault)
    if span is None:
        return None
    for one, other in zip_longest(_acted(live, span), _acted(replayed, span)):
        if one is not None and other is not None and _asked(one) == _asked(other) and abs(one.t_ns - other.t_ns) <= tolerance_ns:
            continue
        first = min((a for a in (one, other) if a is not None), key=lambda a: a.t_ns)
        who = "the replayed operator" if first is other else "the operator of the run"
        why = f"{who} asked for {first.verb} of {first.instance or first.service}, and the other did not"
        return Parting(fault.id, first.t_ns, span.end_ns, why)
    return None


def _acted(history: History, span: Span) -> Sequence[Action]:
    """What was refused has changed nothing."""
    return [a for a in history.actions if span.holds(a.t_ns) and a.status != "refused"]


def _asked(action: Action) -> tuple[str, str, str | None, str]:
    return action.verb, action.service, action.instance, repr(sorted(action.args.items()))
