"""What the load generator says of itself: its model and engine, what it offered and sent, how well it was. Nothing is asserted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.record import events as ev
from harness.record.history import History
from harness.record.pieces import Rows
from harness.record.requests import Outcome
from harness.scenario.model import Scenario
from harness.scenario.shape import Piece, pieces_of
from harness.score import stats
from harness.score.sli import DROPPED_BY_GENERATOR
from harness.score.spans import NS_PER_S

SERVED = 0.95  # of a step's arrivals: a step that ends with less done is beyond what the system can do


def delivery(history: History, scenario: Scenario) -> dict[str, Any]:
    """Engine, model, arrivals and their fate, dispatch lag (ms), the generator's worst second, and what a sweep found."""
    started = _of(history, "started")
    finished = _of(history, "finished")
    dropped = history.requests["outcome"] == Outcome.DROPPED
    by_generator = int(np.count_nonzero(dropped & (history.requests["drop_cause"] == DROPPED_BY_GENERATOR)))
    health = [e.data for e in history.of_kind(ev.LOAD) if e.data.get("state") == "health"]
    return {
        "model": str(started.get("model", "open")),
        "engine": str(started.get("engine", "locust")),
        "workers": _number(started, "workers") or 1,
        "users": _number(started, "users"),
        "think_s": _number(started, "think_s"),
        "arrivals": len(dropped),
        "sent": int(np.count_nonzero(~dropped)),
        "dropped_by_target": int(np.count_nonzero(dropped)) - by_generator,
        "dropped_by_generator": by_generator,
        "dispatch_lag_ms_p50": _number(finished, "dispatch_lag_ms_p50"),
        "dispatch_lag_ms_p99": _number(finished, "dispatch_lag_ms_p99"),
        "dispatch_lag_ms_max": _number(finished, "dispatch_lag_ms_max"),
        "loop_lag_ms_max": _worst(health, "loop_lag_ms_max"),
        "cpu_ratio_max": _worst(health, "cpu_ratio"),
        "steal_ratio_max": _worst(health, "steal_ratio"),
        "amplification": _amplification(history),
        "sweeps": [found for segment in _sweeps(scenario) if (found := _saturation(history, segment)) is not None],
    }


def _of(history: History, state: str) -> dict[str, Any]:
    """The load's event of that state; empty where there is none."""
    return next((dict(e.data) for e in history.of_kind(ev.LOAD) if e.data.get("state") == state), {})


def _served(rows: Rows) -> Rows:
    served: Rows = rows[rows["outcome"] == Outcome.OK]
    return served


def _amplification(history: History) -> float | None:
    """Mean attempts at the provider for one answer, over those that say how many there were."""
    attempts = history.requests["attempts"]
    told = attempts[attempts > 0]
    return stats.rounded(float(told.mean())) if len(told) else None


def _number(data: Mapping[str, Any], name: str) -> float | None:
    value = data.get(name)
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _worst(health: Sequence[Mapping[str, Any]], name: str) -> float | None:
    return max((value for data in health if (value := _number(data, name)) is not None), default=None)


def _sweeps(scenario: Scenario) -> list[list[Piece]]:
    """The steps of each sweep of the shape."""
    found, start_s = [], 0.0
    given_s = sum(s.for_s for s in scenario.load.shape if s.for_s is not None)
    for segment in scenario.load.shape:
        length_s = segment.for_s if segment.for_s is not None else max(0.0, scenario.duration_s - given_s)
        if segment.sweep is not None:
            found.append(pieces_of(segment, start_s, length_s, scenario.load.mix))
        start_s += length_s
    return found


def _saturation(history: History, steps: list[Piece]) -> dict[str, Any] | None:
    """How far a sweep went before the system fell behind: in a saturated step fewer than 95 % of its arrivals are served before it ends."""
    t0_ns = history.start_ns
    served = history.requests.through(_served)["end_ns"]
    table: list[dict[str, Any]] = []
    for step in steps:
        start_ns, end_ns = t0_ns + round(step.start_s * NS_PER_S), t0_ns + round(step.end_s * NS_PER_S)
        arrived = history.between(start_ns, end_ns)
        if not len(arrived):
            return None
        done = int(np.count_nonzero((served >= start_ns) & (served < end_ns)))
        latencies_ns = arrived.through(_served).gather(lambda rows: rows["end_ns"] - rows["intended_ns"], np.int64)
        latency_s = stats.nearest_rank(latencies_ns, 95.0) / NS_PER_S if len(latencies_ns) else None
        length_s = step.end_s - step.start_s
        table.append(
            {
                "offered_per_s": stats.rounded(len(arrived) / length_s),
                "served_per_s": stats.rounded(done / length_s),
                "latency_s_p95": None if latency_s is None else stats.rounded(latency_s),
                "saturated": done < SERVED * len(arrived),
            }
        )
    kept = [float(step["offered_per_s"]) for step in table if not step["saturated"]]
    first = next((step["offered_per_s"] for step in table if step["saturated"]), None)
    below = [rate for rate in kept if first is None or rate < first]
    return {
        "sustained_per_s": max(below, default=None),
        "saturated_at_per_s": first,
        "served_per_s_max": max(step["served_per_s"] for step in table),
        "steps": table,
    }
