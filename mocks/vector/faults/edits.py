"""How faults edit an answer of a vector service, at its several stages."""

from collections.abc import Callable
from typing import Any, TypeVar

from mocks.faults.edits import bites
from mocks.vector.plan import Hit, HitEdit, Hits, Others, VectorPlan

_T = TypeVar("_T")


def edit_hits(plan: VectorPlan, fault: object, change: Callable[[Hits, Others], Hits], *, searches: bool = True) -> None:
    """Edit the result lists of a search, or without `searches` of anything that shows points. A change that gives back the very list that
    it was given has changed nothing."""
    plan.void.append(fault)

    def run(hits: Hits, others: Others) -> Hits:
        edited = change(hits, others)
        if edited is not hits:
            bites(plan, fault)
        return edited

    plan.hit_edits.append(HitEdit(run, searches))


def edit_each(plan: VectorPlan, fault: object, change: Callable[[Hit, Others], Hit], *, best: int | None = None) -> None:
    """Edit the points shown one by one, only the `best` ones of each list where that is given; one that is given back as it was, is."""

    def run(hits: Hits, others: Others) -> Hits:
        edited = [change(hit, others) for hit in hits[:best]] + ([] if best is None else hits[best:])
        return hits if all(new is old for new, old in zip(edited, hits, strict=True)) else edited

    edit_hits(plan, fault, run, searches=False)


def count_once_made(plan: VectorPlan, fault: object) -> None:
    """Count the fault only where the operation is carried out: a call that is refused for a reason of its own is not changed by it."""
    plan.void.append(fault)

    def run(body: Any) -> Any:
        bites(plan, fault)
        return body

    plan.body_edits.append(run)


def edit_counts(plan: VectorPlan, fault: object) -> None:
    """Count nothing, where Qdrant counts points or their values, or describes a collection by how many it has."""

    def run(body: Any) -> Any:
        if plan.facts.operation not in ("count", "collection_get"):
            return body
        emptied = {key: _NOTHING.get(key, value) for key, value in body.items()}
        if emptied == body:
            return body
        bites(plan, fault)
        return emptied

    plan.body_edits.append(run)


_NOTHING = {"count": 0, "hits": [], "points_count": 0, "vectors_count": 0}


def renew_once(plan: VectorPlan, fault: object, renewed: set[_T], collection: _T) -> bool:
    """Give the call's collection another id, if it exists, and note it in `renewed`; False, and nothing, where it is there already."""
    if collection in renewed:
        return False
    plan.void.append(fault)

    def run() -> None:
        renewed.add(collection)
        bites(plan, fault)

    plan.renew = run
    return True
