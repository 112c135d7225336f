"""What a live view shows: one immutable snapshot of a run that is under way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveState:
    """A moment of the run. Rates and percentiles are over the last five seconds; None without samples."""

    scenario: str
    phase: str  # a phase of the scenario, or: starting, healing, collecting, judging
    phase_elapsed_s: float = 0.0
    phase_length_s: float = 0.0
    run_elapsed_s: float = 0.0
    run_length_s: float = 0.0
    offered_per_s: float | None = 0.0  # None: a closed load, which offers what the answers let it
    delivered_per_s: float | None = None
    latency_s_p95: float | None = None
    errors_ratio: float | None = None
    faults: tuple[str, ...] = ()  # `slow-llm: effective`
    alerts: tuple[str, ...] = ()  # firing: `LatencyHigh llm`
    actions: tuple[str, ...] = ()  # `switch_provider generation: performed`
    note: str = ""
