"""Limits on what may be done: how soon again, how often in all, and whether at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.ops.recovery.strategies import Rung, Step

COOLDOWN_S: Mapping[str, float] = {
    "restart": 12.0,
    "failover": 12.0,
    "scale": 20.0,
    "rollback": 30.0,
    "clear_cache": 30.0,
    "shed_load": 20.0,
    "switch_provider": 30.0,
    "reset_pool": 12.0,
    "reindex": 120.0,
}
"""Seconds by verb and target (a service, or one instance of it), from the start of an action: the time that it gets to show its effect."""
WINDOW_S = 60.0
MAX_ACTIONS = 4
"""In any such window, over all services."""


@dataclass(slots=True)
class Guardrails:
    """What was done lately. Times are seconds of the caller's clock, durations are compressed by `time_scale`."""

    time_scale: float = 1.0
    most_actions: int = MAX_ACTIONS
    window_s: float = WINDOW_S
    cooldowns_s: Mapping[str, float] = field(default_factory=dict)
    _last: dict[tuple[str, str, str | None], float] = field(default_factory=dict)
    _acted: deque[float] = field(default_factory=deque)

    def cooldown_s(self, step: Step) -> float:
        """Seconds, before they are compressed."""
        return self.cooldowns_s.get(step.verb, cooldown_s(step))

    def cooling(self, t_s: float, rung: Rung) -> bool:
        """Has one of these verbs been used on its target too lately?"""
        return any(
            t_s - self._last.get((s.verb, s.service, s.instance), float("-inf")) < self.cooldown_s(s) / self.time_scale for s in rung
        )

    def exhausted(self, t_s: float, rung: Rung) -> bool:
        """Would these be too many in the window?"""
        while self._acted and self._acted[0] <= t_s - self.window_s / self.time_scale:
            self._acted.popleft()
        return len(self._acted) + len(rung) > self.most_actions

    def note(self, t_s: float, rung: Rung) -> None:
        """They are done now."""
        for step in rung:
            self._last[step.verb, step.service, step.instance] = t_s
            self._acted.append(t_s)

    @property
    def lately(self) -> int:
        """Actions in the window."""
        return len(self._acted)


def cooldown_s(step: Step) -> float:
    return COOLDOWN_S.get(step.verb, WINDOW_S)
