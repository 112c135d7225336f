"""Names of the service level indicators: what an objective may be written about, in which unit, and in which direction it is good."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from harness.scenario.units import Unit

PHASES = ("warmup", "steady_state", "fault", "recovery", "cooldown")
Direction = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class SliName:
    """A parsed SLI name. `family` selects the function in `score.sli`; `argument` is its percentile or k."""

    text: str
    family: str
    unit: Unit
    good: Direction
    argument: float | None = None

    @property
    def percentile(self) -> bool:
        return self.family in _PERCENTILES


_PERCENTILES: dict[str, Unit] = {"latency": "s", "ttft": "s", "tpot": "s", "max_gap": "s"}
_SIMPLE: dict[str, tuple[Unit, Direction]] = {
    "availability": ("ratio", "higher"),
    "answered": ("ratio", "higher"),
    "degraded_honest": ("ratio", "higher"),
    "degraded": ("ratio", "lower"),
    "citations_valid": ("ratio", "higher"),
    "mrr": ("ratio", "higher"),
    "goodput": ("per_s", "higher"),
    "wrong_answers": ("number", "lower"),
    "lost_ingest": ("number", "lower"),
}
_AT_K = {"recall": "recall_at_k", "ndcg": "ndcg_at_k"}


def sli_name(text: str) -> SliName:
    """Parse `availability`, `latency_p95`, `ttft_p99.9`, `recall_at_5`. Raises ValueError listing what exists."""
    if text in _SIMPLE:
        unit, good = _SIMPLE[text]
        return SliName(text, text, unit, good)
    if match := re.fullmatch(r"(latency|ttft|tpot|max_gap)_p(\d{1,2}(?:\.\d+)?)", text):
        return SliName(text, match[1], _PERCENTILES[match[1]], "lower", float(match[2]))
    if (match := re.fullmatch(r"(recall|ndcg)_at_(\d{1,2})", text)) and 1 <= int(match[2]) <= 10:
        return SliName(text, _AT_K[match[1]], "ratio", "higher", float(match[2]))
    known = ", ".join([*_SIMPLE, "latency_p95", "ttft_p95", "tpot_p95", "max_gap_p95", "recall_at_5", "ndcg_at_5"])
    raise ValueError(f"no such SLI: {text!r}; known: {known} (any percentile from p1 to p99.9, k from 1 to 10)")
