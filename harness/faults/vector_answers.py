"""What becomes of requests to a vector store: refused, cut, broken or late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.faults.base import Evidence
from harness.faults.programmed.common import WAIT, bodies, connections, gateway, lasting
from harness.faults.programmed.row import Look, Row, View
from harness.faults.programmed.sees import refusal, slower_by
from harness.faults.programmed.settings import choice, duration, text, whole
from harness.faults.programmed.wire import Ended
from harness.faults.vector_probe import CROWD, LIST, REUSE, SEARCH, hits_of

RETRY_AFTER = duration("retry_after", "`Retry-After` to send; null: none", None, ge=0, le=3600)


_ENDS: Mapping[str, Ended] = {"reset": "reset", "fin": "fin", "hang": "silent"}


def _made_all_the_same(view: View) -> Evidence | None:
    """No acknowledgement, and yet everything is found."""
    write, wanted = view.look.get("write"), _ENDS[view.document["how"]]
    if write is None or not view.ended(write, wanted) or write.status or not hits_of(view.look):
        return None
    return {"write_ended": write.ended, "results": len(hits_of(view.look) or ())}


def _lacks(view: View) -> Evidence | None:
    """A field that the healthy answer has."""
    for step, one in view.look.items():
        value = one.value() if one.good else None
        healthy = view.healthy[step].value() if view.healthy and step in view.healthy else None
        if isinstance(value, dict) and isinstance(healthy, dict) and (missing := sorted(set(healthy) - set(value))):
            return {"step": step, "missing": ", ".join(missing)}
    return None


def _slowest(look: Look, _document: Any) -> float | None:
    times = [one.took_s for one in look.values() if one.good]
    return max(times) if times else None


ROWS = (
    Row(
        "service_error",
        "errors",
        "An error in the product's own words; with `quota` it is a rate limit, with `window` an outage.",
        "the harness's own request gets that status",
        refusal(),
        (LIST,),
        (choice("status", "which", (500, 400, 404, 408, 429, 503)), WAIT, RETRY_AFTER),
        how=lasting("after_s"),
        example={"status": 503, "retry_after": "2s"},
    ),
    Row(
        "dimension_error",
        "config",
        "400: vectors of other dimensions than the collection's. Everything is well formed, and nothing fits.",
        "the harness's own write or search is refused for its dimensions",
        refusal(400, "imension"),
        (SEARCH,),
        (
            whole("expected", "dimensions that the collection is said to have", "dimensions", 768, ge=1, le=65_536),
            whole("got", "dimensions that the vectors are said to have", "dimensions", 1024, ge=0, le=65_536),
        ),
    ),
    gateway((LIST,), (), (503, 502, 504)),
    *connections((LIST,), REUSE, LIST),
    Row(
        "lost_acknowledgement",
        "network",
        "A write is made, but instead of its acknowledgement the connection is cut, or nothing comes.",
        "the harness's own write is not acknowledged, and found",
        _made_all_the_same,
        (SEARCH,),
        (choice("how", "what comes instead", ("reset", "fin", "hang")),),
    ),
    *bodies((LIST,)),
    Row(
        "missing_result",
        "errors",
        "200 without the main key: Qdrant's `result`, Chroma's `ids` (of a collection, `id`).",
        "an answer to the harness lacks a key that the healthy one has",
        _lacks,
        (SEARCH,),
        (text("key", "the key that is missing; null: the main one of the answer", None, min_length=1),),
    ),
    Row(
        "slow_answer",
        "latency",
        "Every answer comes that much later; it is right.",
        "the harness's own request takes that much longer",
        slower_by(lambda document: float(document["delay_s"]), _slowest),
        (LIST,),
        (
            duration("delay", "added to every answer", "1s", ge=0.02, le=60),
            duration("spread", "most that is added beyond it, evenly drawn", "0s", ge=0, le=60),
        ),
        how=lambda document: {"late_s": document["delay_s"] + document["spread_s"]},
        example={"delay": "800ms"},
    ),
    Row(
        "brownout",
        "latency",
        "Every answer comes later by that much for each other request under way: the busier, the slower.",
        "of several requests of the harness's own at the same time, one takes that much longer",
        slower_by(lambda document: float(document["per_in_flight_s"]), _slowest),
        (CROWD,),
        (duration("per_in_flight", "for each other request under way", "50ms", ge=0.02, le=10),),
        how=lambda document: {"late_s": 4 * document["per_in_flight_s"]},
        example={"per_in_flight": "300ms"},
    ),
)
