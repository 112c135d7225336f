"""When each phase begins and ends, in absolute monotonic time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.record.clock import NS_PER_S
from harness.scenario.model import Scenario
from harness.scenario.slis import PHASES


@dataclass(frozen=True, slots=True)
class Planned:
    """One phase as planned."""

    name: str
    start_ns: int
    end_ns: int


def plan(scenario: Scenario, t0_ns: int) -> tuple[Planned, ...]:
    """The declared phases in their fixed order, back to back from `t0_ns`."""
    planned = []
    start_ns = t0_ns
    declared: Mapping[str, float] = {str(k): v for k, v in scenario.phases.items()}
    for name in (p for p in PHASES if p in declared):
        end_ns = start_ns + round(declared[name] * NS_PER_S)
        planned.append(Planned(name, start_ns, end_ns))
        start_ns = end_ns
    return tuple(planned)
