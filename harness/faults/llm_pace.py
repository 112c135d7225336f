"""The right answer, but late."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from statistics import fmean, median
from typing import Any

from harness.faults.base import Evidence
from harness.faults.llm_answers import streamed
from harness.faults.llm_probe import STREAM
from harness.faults.programmed.common import lasting
from harness.faults.programmed.row import Look, Row, View
from harness.faults.programmed.sees import as_slow_as, slower_by
from harness.faults.programmed.settings import duration, number

FEW_TOKENS = 3
LEAST_GAP_S = 0.002
"""Smaller gaps are those of the machine, not of the provider."""


def first_token(look: Look, _document: Mapping[str, Any]) -> float | None:
    """When the first piece of text came."""
    return next(iter(streamed(look[STREAM]).content_at_s), None) if STREAM in look else None


def _gaps(look: Look) -> list[float]:
    return [late - early for early, late in pairwise(streamed(look[STREAM]).content_at_s)]


def gap(look: Look, _document: Mapping[str, Any]) -> float | None:
    """The mean time between two pieces of text."""
    gaps = _gaps(look)
    return fmean(gaps) if gaps else None


def _unevenness(look: Look) -> float | None:
    """The median deviation of a gap from the median one, as a share of it; None where tokens come without a pace.

    Medians, because a busy machine makes some gaps very long and those after them short, but not most.
    """
    gaps = _gaps(look)
    usual_s = median(gaps) if gaps else 0.0
    return median(abs(one - usual_s) for one in gaps) / usual_s if usual_s >= LEAST_GAP_S else None


def _jittered(view: View) -> Evidence | None:
    """Evenly drawn gaps deviate by half the spread; half of that must show, beyond what they do anyway."""
    found = _unevenness(view.look)
    healthy = (_unevenness(view.healthy) if view.healthy else None) or 0.0
    if found is None or found < healthy + (float(view.document["spread"]) / 2 - healthy) * view.clearly / 2:
        return None
    return {"unevenness": found, "healthy": healthy}


ROWS = (
    Row(
        "slow_first_token",
        "latency",
        "The provider takes that long to its first token; the tokens after it keep their pace.",
        "the harness's own streamed request waits that long",
        as_slow_as("ttft_s", first_token),
        (STREAM,),
        (duration("ttft", "time from a request to its first token", ge=0.05, le=300.0),),
        how=lasting("ttft_s"),
        example={"ttft": "4s"},
    ),
    Row(
        "slow_tokens",
        "latency",
        "That long from one token to the next.",
        "the pieces of the harness's own stream are that far apart",
        as_slow_as("itl_s", gap),
        (STREAM,),
        (duration("itl", "time from one token to the next", ge=0.01, le=5),),
        how=lambda document: {"body": {"max_tokens": FEW_TOKENS}, "late_s": FEW_TOKENS * document["itl_s"]},
        example={"itl": "500ms"},
    ),
    Row(
        "jittered_tokens",
        "latency",
        "Gaps between tokens are drawn for each, so that their mean stays and their evenness goes.",
        "gaps in the harness's own stream differ as much; it takes a provider whose tokens have a pace",
        _jittered,
        (STREAM,),
        (number("spread", "how far a gap may be from the pace", "ratio", 0.5, ge=0.3, le=1),),
        example={"spread": 0.9},
    ),
    Row(
        "brownout",
        "latency",
        "The first token is late by that much for every request in flight: the busier, the slower.",
        "the harness's own streamed request waits that much longer",
        slower_by(lambda document: float(document["per_in_flight_s"]), first_token),
        (STREAM,),
        (duration("per_in_flight", "for each request in flight, this one included", "50ms", ge=0.02, le=10),),
        how=lambda document: {"late_s": 4 * document["per_in_flight_s"]},
        example={"per_in_flight": "300ms"},
    ),
)
