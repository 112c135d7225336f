"""Names of the service level indicators: what an objective may be written about, in which unit, and in which direction it is good."""

from __future__ import annotations

import difflib
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


_PERCENTILES: dict[str, Unit] = {"latency": "s", "ttft": "s", "tpot": "s", "itl": "s", "max_gap": "s"}
_SIMPLE: dict[str, tuple[Unit, Direction]] = {
    "availability": ("ratio", "higher"),
    "complete": ("ratio", "higher"),
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
    if (match := re.fullmatch(r"(latency|ttft|tpot|itl|max_gap)_p(\d{1,2}(?:\.\d{1,3})?)", text, re.ASCII)) and float(match[2]) > 0:
        return SliName(text, match[1], _PERCENTILES[match[1]], "lower", float(match[2]))
    if (match := re.fullmatch(r"(recall|ndcg)_at_(\d{1,2})", text, re.ASCII)) and 1 <= int(match[2]) <= 10:
        return SliName(text, _AT_K[match[1]], "ratio", "higher", float(match[2]))
    raise ValueError(f"no such SLI: {text!r}; {_suggestion(text)}")


def _suggestion(text: str) -> str:
    known = [*_SIMPLE, *(f"{family}_p95" for family in _PERCENTILES), *(f"{family}_at_5" for family in _AT_K)]
    close = difflib.get_close_matches(text, known, n=1)
    listed = f"write one of {', '.join(known)} (any percentile from p1 to p99.9, k from 1 to 10)"
    return f"did you mean {close[0]!r}?" if close else listed
