"""Searches that succeed and are wrong, and writes that are not what their acknowledgement says."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from harness.faults.base import Evidence
from harness.faults.programmed.row import Row, Sees, View
from harness.faults.programmed.settings import Setting, choice, duration, number, text, whole
from harness.faults.vector_probe import FOREIGN, REWRITE, SEARCH, hits_of, nearest, own_points
from harness.faults.vector_products import Hit

MOST_KEPT = 20
SOME = 5
MANY = 20
_DIGITS = re.compile(r"\d+")


def _found(shows: Callable[[list[Hit], View], Any]) -> Sees:
    """A search that succeeded, and of which `shows` tells something."""

    def sees(view: View) -> Evidence | None:
        hits = hits_of(view.look)
        told = shows(hits, view) if hits is not None else None
        return {"results": len(hits or ()), "found": told} if told else None

    return sees


def _each_text(shows: Callable[[str, str, View], Any]) -> Sees:
    """A result whose text, beside the one that was written, tells something."""

    def sees(view: View) -> Evidence | None:
        written = {one.id: one.text for one in own_points()}
        for hit in hits_of(view.look) or ():
            told = shows(hit.text, written[hit.id], view) if hit.text is not None else None
            if told:
                return {"id": hit.id, "found": told}
        return None

    return sees


def _none(hits: list[Hit], _view: View) -> Any:
    return not hits and "no results"


def _fewer(hits: list[Hit], view: View) -> Any:
    return len(hits) == view.document["keep"] and f"{len(hits)} of {len(hits) + SOME} results"


def _farthest(hits: list[Hit], _view: View) -> Any:
    return len(hits) > 1 and {hit.id for hit in hits}.isdisjoint(nearest(len(hits) * 2)) and "none of the nearest"


def _repeated(hits: list[Hit], view: View) -> Any:
    ids = [hit.id for hit in hits]
    return len(ids) > 1 and ids[: view.document["copies"]] == ids[:1] * min(len(ids), view.document["copies"]) and f"{ids[0]} over and over"


def _missed(hits: list[Hit], _view: View) -> Any:
    missed = set(nearest(MANY)) - {hit.id for hit in hits}
    return len(hits) == MANY and missed and f"{len(missed)} of {MANY} neighbours missing"


def _foreign(hits: list[Hit], _view: View) -> Any:
    return sum(hit.tenant == FOREIGN for hit in hits) and f"{sum(hit.tenant == FOREIGN for hit in hits)} of another tenant"


def _no_numbers(hits: list[Hit], view: View) -> Any:
    wanted = float(view.document["value"])
    return hits and all(hit.score is not None and _same(hit.score, wanted) for hit in hits) and f"scores are {view.document['value']}"


def _same(score: float, wanted: float) -> bool:
    return math.isnan(score) if math.isnan(wanted) else score == wanted


def _level(hits: list[Hit], _view: View) -> Any:
    return len(hits) > 1 and len({hit.score for hit in hits}) == 1 and f"all scores are {hits[0].score}"


def _bare(hits: list[Hit], _view: View) -> Any:
    return hits and all(hit.text is None and hit.tenant is None for hit in hits) and "ids and scores alone"


def _before(told: str, _written: str, _view: View) -> Any:
    return "of version 0 holds" in told and told


def _altered(told: str, written: str, _view: View) -> Any:
    return told != written and _DIGITS.sub("#", told) == _DIGITS.sub("#", written) and told


def _poisoned(told: str, _written: str, view: View) -> Any:
    return view.document["token"] in told and told[-80:]


def _oversize(told: str, _written: str, view: View) -> Any:
    size = len(told.encode())
    return size >= 0.9 * view.document["size_bytes"] and f"{size} bytes"


def _invisible(view: View) -> Evidence | None:
    """What was acknowledged is not found."""
    write = view.look.get("write")
    return {"write_status": write.status, "results": 0} if write is not None and write.good and hits_of(view.look) == [] else None


def _recreated(view: View) -> Evidence | None:
    """Qdrant: nothing in it, though it was written to. Chroma: 404 by the id that it had a moment ago."""
    for step in ("write", "search"):
        if step in view.look and view.look[step].status == 404:
            return {"step": step, "status": 404}
    return _invisible(view)


def _search(type_: str, kind: str, does: str, shows: str, sees: Sees, *settings: Setting, **more: Any) -> Row:
    asks: tuple[str, ...] = more.pop("asks", (SEARCH,))
    return Row(type_, kind, does, f"a search of the harness's own points {shows}", sees, asks, settings, **more)


ROWS = (
    _search("empty_results", "data", "Searches find nothing: 200 with empty lists.", "finds nothing", _found(_none)),
    _search(
        "fewer_results",
        "data",
        "Searches give only the best few, however many were asked for.",
        "finds as few",
        _found(_fewer),
        whole("keep", "results that are left", "results", 1, ge=1, le=MOST_KEPT),
        how=lambda document: {"k": int(document["keep"]) + SOME},
    ),
    _search(
        "irrelevant_results",
        "quality",
        "Searches give the farthest points instead of the nearest.",
        "finds none of the nearest",
        _found(_farthest),
        choice("scores", "their own, or those of the points that they displace", ("true", "top")),
    ),
    _search(
        "duplicate_results",
        "data",
        "Searches give each point several times in a row; the list stays as long as it was.",
        "finds one over and over",
        _found(_repeated),
        whole("copies", "how often each comes", "times", 2, ge=2, le=1000),
    ),
    _search(
        "degraded_recall",
        "quality",
        "Each true neighbour is kept with that probability; those that are not make room for the ranks behind.",
        "misses neighbours",
        _found(_missed),
        number("recall", "expected share of the true neighbours in the answer", "ratio", 0.5, ge=0, le=0.95),
        how=lambda _: {"k": MANY},
    ),
    _search(
        "other_tenant",
        "data",
        "Filters are ignored: the best points that they would have kept out are among the results.",
        "for one tenant finds another's",
        _found(_foreign),
        text("key", "key that tells tenants apart: only points with another value there count; null: any point", None, min_length=1),
        whole("leaks", "how many foreign points come, at most", "results", 1, ge=1, le=1000),
        how=lambda document: {"key": document.get("key", "tenant")},
    ),
    _search(
        "nan_scores",
        "data",
        "Scores (Chroma: distances) are a bare `NaN`, or an infinity, as a broken server sends them.",
        "has such scores",
        _found(_no_numbers),
        choice("value", "what they are", ("nan", "inf", "-inf")),
    ),
    _search(
        "constant_scores",
        "data",
        "All results of a search have the same score.",
        "has one score for all",
        _found(_level),
        number("score", "that score; null: the best one's own", "score", None, ge=-1e6, le=1e6),
    ),
    _search(
        "stale_version",
        "data",
        "Points that were replaced show payload and text from before; all others are as they are.",
        "that were written twice tells the first text",
        _each_text(_before),
        text(
            "key",
            "key by which a deleted point is known to be an older version of another; null: those that applications use",
            None,
            min_length=1,
        ),
        asks=(REWRITE,),
    ),
    _search(
        "counterfactual",
        "data",
        "Every number and identifier in the texts is another one, the same everywhere.",
        "tells other numbers",
        _each_text(_altered),
        choice("hits", "which results of a list", ("all", "best")),
    ),
    _search(
        "poisoned_document",
        "data",
        "One result's text carries an order to the model: to answer with a planted token.",
        "tells of the token",
        _each_text(_poisoned),
        text("token", "what the model is told to say", "INJ-7F3A", pattern=r"^INJ-[A-Za-z0-9]{4,}$"),
        whole("rank", "which result is poisoned, 1 being the best; in a shorter list, the last", "rank", 1, ge=1, le=1000),
        choice("how", "after the text, or in its place", ("append", "replace")),
    ),
    _search("missing_payload", "data", "Points come without payload: ids and scores are there.", "has ids and scores alone", _found(_bare)),
    _search(
        "oversize_payload",
        "data",
        "The best result's text is repeated until it has that size.",
        "has a text of that size",
        _each_text(_oversize),
        whole("size_bytes", "bytes of that text", "bytes", 1 << 20, ge=1000, le=16 << 20),
        how=lambda _: {"late_s": 1.0},
    ),
    _search(
        "acknowledged_not_visible",
        "data",
        "Writes are acknowledged; they become visible after a time, or never.",
        "finds nothing of what was acknowledged",
        _invisible,
        duration("delay", "until what was written can be read; null: it is lost", None, ge=0.05, le=3600),
    ),
    _search(
        "collection_recreated",
        "data",
        "The collection is another one of the same name. Chroma: it has a new id, once. Qdrant: it is empty meanwhile.",
        "finds nothing in it, or no collection",
        _recreated,
    ),
)
