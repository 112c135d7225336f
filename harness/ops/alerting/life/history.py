"""What became of alerts: how long they took to be seen and to end."""

from __future__ import annotations

import statistics
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Past:
    """One alert that has ended. Times are seconds of the caller's clock."""

    name: str
    service: str
    severity: str
    started_s: float
    ended_s: float
    acknowledged_s: float | None = None
    escalated: bool = False
    told: bool = True  # False: suppressed from its beginning to its end

    @property
    def lasted_s(self) -> float:
        return self.ended_s - self.started_s


@dataclass(frozen=True, slots=True)
class Resolution:
    """Statistics of alerts of one name. Durations in seconds; None where there is none."""

    alerts: int
    suppressed: int
    acknowledged: int
    escalated: int
    resolve_s_mean: float
    resolve_s_median: float
    resolve_s_max: float
    acknowledge_s_mean: float | None


@dataclass(slots=True)
class History:
    """The last `KEPT` alerts that ended."""

    _past: deque[Past] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, past: Past) -> None:
        self._past.append(past)

    def since(self, t_s: float) -> tuple[Past, ...]:
        """Those that ended at or after `t_s`."""
        return tuple(one for one in self._past if one.ended_s >= t_s)

    def resolution(self, since_s: float = float("-inf")) -> dict[str, Resolution]:
        """By name."""
        found: dict[str, list[Past]] = {}
        for one in self.since(since_s):
            found.setdefault(one.name, []).append(one)
        return {name: _resolution(ones) for name, ones in sorted(found.items())}

    def by_hour(self, wall_offset_s: float = 0.0) -> dict[int, int]:
        """How many began in each hour; keys are seconds since 1970 of its start, where `wall_offset_s` leads there from the clock."""
        hours = Counter(int((one.started_s + wall_offset_s) // 3600 * 3600) for one in self._past)
        return dict(sorted(hours.items()))


def _resolution(ones: Iterable[Past]) -> Resolution:
    past = list(ones)
    lasted = [one.lasted_s for one in past]
    waits = [one.acknowledged_s - one.started_s for one in past if one.acknowledged_s is not None]
    return Resolution(
        alerts=len(past),
        suppressed=sum(not one.told for one in past),
        acknowledged=len(waits),
        escalated=sum(one.escalated for one in past),
        resolve_s_mean=statistics.fmean(lasted),
        resolve_s_median=statistics.median(lasted),
        resolve_s_max=max(lasted),
        acknowledge_s_mean=statistics.fmean(waits) if waits else None,
    )
