"""Profiles of a watch: how closely it looks, by one word. Each figure can be set in the STACK.yaml instead (docs/watch.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Name = Literal["real-time", "predictive", "distributed", "low-cost"]
DEFAULT: Name = "real-time"


@dataclass(frozen=True, slots=True)
class Profile:
    """Durations are seconds. `every_s`: between two rounds; `keep_s`: how far the history reaches back; `health_every_s`: between two
    questions to what has no metrics. `detectors`: the detector of a reading, as a STACK.yaml names them, each fed every `detect_every_s`
    with the mean of what was read since. `forecast_every_s`: between two looks at what fills up, and with `forecast_limits` at what
    moves towards its limit. `gathers`: metrics come from a Prometheus, not from the services.
    """

    every_s: float = 1.0
    keep_s: float = 24 * 3600.0
    health_every_s: float = 5.0
    detectors: Mapping[str, str] = field(default_factory=dict)
    detect_every_s: float = 0.0
    forecast_every_s: float = 60.0
    forecast_limits: bool = False
    gathers: bool = False


_DRIFTING = ("answer_tokens", "prompt_tokens", "queries_per_user", "quality")
"""What says that users, data or a model have changed, although nothing fails."""
_LEARNT = ("response_time", "error_rate", "cache_hits", "cpu", "memory", "queue_ingest", "first_token", "failures", "pool_used")
"""What a calm deployment keeps steady. Throughput is not among them: it is the users' to change."""

PROFILES: Mapping[Name, Profile] = {
    "real-time": Profile(),
    "predictive": Profile(
        keep_s=7 * 24 * 3600.0,
        detectors={f"*/{name}": "ensemble" for name in _LEARNT} | {f"*/{name}": "adwin" for name in _DRIFTING},
        detect_every_s=15.0,
        forecast_every_s=30.0,
        forecast_limits=True,
    ),
    "distributed": Profile(every_s=15.0, gathers=True),
    "low-cost": Profile(every_s=15.0, keep_s=6 * 3600.0, health_every_s=60.0, forecast_every_s=600.0),
}
