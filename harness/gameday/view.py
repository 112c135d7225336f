"""What each role is shown, as plain data. Before the reveal, nothing of the truth is in what the players get: not hidden, but absent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from harness.gameday.asks import Role
from harness.gameday.desk import Desk, Point
from harness.record import events as ev
from harness.record import views
from harness.record.events import Event
from harness.scenario.model import KINDS, FaultUse
from harness.score.detection import episodes

MOST_POINTS = 300  # beyond it neighbours are merged, the worst of each kept


def document(desk: Desk, role: Role, places: Sequence[str]) -> dict[str, Any]:
    """`places` are what a diagnosis may name: services and edges of the stack."""
    desk.look()
    start_ns = _start_ns(desk.events)
    shown = _for_all(desk, role, start_ns) | {"places": list(places), "kinds": [kind for kind in KINDS if kind != "none"]}
    if role == "master":
        return shown | _truth(desk, start_ns) | {"scenario": desk.scenario.name, "hypothesis": desk.scenario.hypothesis}
    return shown | (_truth(desk, start_ns) if desk.revealed else {})


def _for_all(desk: Desk, role: Role, start_ns: int) -> dict[str, Any]:
    """Telemetry, claims, and what the role itself has said."""
    state = desk.state
    return {
        "role": role,
        "begun": desk.begun.is_set(),
        "running": bool(start_ns) and desk.ended is None,
        "over": desk.ended is not None,
        "stopped": desk.stopped,
        "revealed": desk.revealed,
        "elapsed_s": round(state.run_elapsed_s, 1) if state is not None else 0.0,
        "slis": {
            "offered_per_s": state.offered_per_s if state is not None else None,
            "served_per_s": state.delivered_per_s if state is not None else None,
            "latency_s_p95": state.latency_s_p95 if state is not None else None,
            "errors_ratio": state.errors_ratio if state is not None else None,
        },
        "points": [[p.t_s, p.served_per_s, p.latency_s_p95, p.errors_ratio] for p in thinned(desk.points)],
        "alerts": [
            {"at_s": _s(e.start_ns, start_ns), "name": e.name, "service": e.service, "firing": e.resolved_ns is None}
            for e in episodes(views.alerts(desk.events))
        ],
        "diagnoses": [
            {"at_s": _s(d.t_ns, start_ns), "causes": [f"{c.service}/{c.kind}" for c in d.causes]} for d in views.diagnoses(desk.events)
        ],
        "actions": [
            {"at_s": _s(a.t_ns, start_ns), "what": f"{a.verb} {a.instance or a.service}", "status": a.status}
            for a in views.actions(desk.events)
        ],
        "said": [_said(e, start_ns) for e in desk.events if e.kind == ev.GAMEDAY and (role == "master" or e.data.get("by") == "players")],
    }


def _truth(desk: Desk, start_ns: int) -> dict[str, Any]:
    state = desk.state
    known = {fault.id: fault for fault in views.faults(desk.events)}
    skipped = {str(e.data["id"]): str(e.data.get("reason")) for e in desk.events if e.kind == ev.FAULT and e.data["step"] == "skipped"}
    return {
        "phase": state.phase if state is not None else "",
        "note": state.note if state is not None else "",
        "left_s": round(max(0.0, state.run_length_s - state.run_elapsed_s)) if state is not None else None,
        "faults": [_fault(desk, use, known.get(use.id), skipped.get(use.id), start_ns) for use in desk.scenario.faults],
        "ended": asdict(desk.ended) if desk.ended is not None else None,
    }


def _fault(desk: Desk, use: FaultUse, truth: views.FaultTruth | None, skipped: str | None, start_ns: int) -> dict[str, Any]:
    return {
        "id": use.id,
        "type": use.type,
        "target": use.target,
        "at": use.at if use.after is None else f"after {use.after}",
        "for_s": use.for_s,
        "with": use.with_,
        "status": _status(desk, use.id, truth, skipped),
        "onset_s": _s(truth.onset_ns, start_ns) if truth is not None and truth.onset_ns is not None else None,
        "healed_s": _s(truth.healed_ns, start_ns) if truth is not None and truth.healed_ns is not None else None,
        "skipped": skipped,
    }


def _status(desk: Desk, fault_id: str, truth: views.FaultTruth | None, skipped: str | None) -> str:
    """`waits for you` is what a person must see first."""
    if skipped is not None:
        return "skipped"
    if truth is None:
        if fault_id in desk.decisions:
            return "decided"
        return "waits for you" if fault_id in desk.due else "planned"
    if truth.failure:
        return truth.failure.partition(":")[0].replace("_", " ")
    steps = (("gone", truth.gone_ns), ("healed", truth.healed_ns), ("effective", truth.effective_ns), ("injected", truth.injected_ns))
    return next((name for name, at in steps if at is not None), "intended")


def _said(event: Event, start_ns: int) -> dict[str, Any]:
    return {"at_s": _s(event.t_ns, start_ns), **event.data}


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most MOST_POINTS of them: of neighbours the last, with the worst latency and errors and the least served among them."""
    width = -(-len(points) // MOST_POINTS)
    return [_worst(points[n : n + width]) for n in range(0, len(points), width)] if width > 1 else list(points)


def _worst(points: Sequence[Point]) -> Point:
    served = [p.served_per_s for p in points if p.served_per_s is not None]
    return Point(
        points[-1].t_s,
        min(served, default=None),
        _most(p.latency_s_p95 for p in points),
        _most(p.errors_ratio for p in points),
    )


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _start_ns(events: Sequence[Event]) -> int:
    """The start of the load; 0 before it."""
    return next((int(e.data["t0_ns"]) for e in events if e.kind == ev.LOAD and e.data.get("state") == "begun"), 0)


def _s(t_ns: int, start_ns: int) -> float:
    return round((t_ns - start_ns) / 1e9, 1) if start_ns else 0.0
