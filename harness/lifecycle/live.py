"""From the growing record to one snapshot for the live view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.lifecycle.timeline import Planned
from harness.record import views
from harness.record.clock import NS_PER_S
from harness.record.events import Event
from harness.record.requests import Outcome
from harness.report.state import LiveState

WINDOW_S = 5.0


def window_s(elapsed_s: float) -> float:
    """How much of the live window a run has filled; at least a second: the first request is no rate yet."""
    return min(WINDOW_S, max(1.0, elapsed_s))


def snapshot(
    scenario: str, phases: Sequence[Planned], now_ns: int, offered_per_s: float | None, rows: NDArray[Any], events: Sequence[Event]
) -> LiveState:
    """`rows` are the recent requests, `events` all of the run so far."""
    phase = next((p for p in phases if p.start_ns <= now_ns < p.end_ns), phases[-1])
    ended = rows[(rows["end_ns"] > now_ns - WINDOW_S * NS_PER_S) & (rows["end_ns"] <= now_ns)]
    served = ended[(ended["outcome"] == Outcome.OK) | (ended["outcome"] == Outcome.TIMEOUT)]
    elapsed_s = max(0, now_ns - phases[0].start_ns) / NS_PER_S
    latency = (served["end_ns"] - served["intended_ns"]) / NS_PER_S
    return LiveState(
        scenario=scenario,
        phase=phase.name,
        phase_elapsed_s=max(0, now_ns - phase.start_ns) / NS_PER_S,
        phase_length_s=(phase.end_ns - phase.start_ns) / NS_PER_S,
        run_elapsed_s=elapsed_s,
        run_length_s=(phases[-1].end_ns - phases[0].start_ns) / NS_PER_S,
        offered_per_s=offered_per_s,
        delivered_per_s=len(ended) / window_s(elapsed_s) if len(rows) else None,
        latency_s_p95=float(np.percentile(latency, 95)) if len(latency) else None,
        errors_ratio=float(np.mean(ended["outcome"] != Outcome.OK)) if len(ended) else None,
        faults=tuple(f"{f.id}: {_stage(f)}" for f in views.faults(events)),
        alerts=_firing(events),
        actions=tuple(f"{a.verb} {a.instance or a.service}: {a.status}" for a in views.actions(events)),
    )


def _stage(fault: views.FaultTruth) -> str:
    if fault.failure:
        return fault.failure.partition(":")[0]
    stages = (("gone", fault.gone_ns), ("healed", fault.healed_ns), ("effective", fault.effective_ns), ("injected", fault.injected_ns))
    return next((name for name, at in stages if at is not None), "intended")


def _firing(events: Sequence[Event]) -> tuple[str, ...]:
    latest = {a.fingerprint: a for a in views.alerts(events)}
    return tuple(f"{a.name} {a.service or '-'}" for a in latest.values() if a.status == "firing")
