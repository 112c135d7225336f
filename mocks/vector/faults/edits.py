"""How faults edit an answer. A fault stands as void until an edit of its own has changed something, so that `applied` stays honest."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

from mocks.vector.plan import Hit, HitEdit, Hits, Others, VectorPlan, Whole

_T = TypeVar("_T")


def edit_hits(plan: VectorPlan, fault: object, change: Callable[[Hits, Others], Hits], *, searches: bool = True) -> None:
    """Edit the result lists of a search, or without `searches` of anything that shows points. A change that gives back the very list that
    it was given has changed nothing."""
    plan.void.append(fault)

    def run(hits: Hits, others: Others) -> Hits:
        edited = change(hits, others)
        if edited is not hits:
            _bites(plan, fault)
        return edited

    plan.hit_edits.append(HitEdit(run, searches))


def edit_each(plan: VectorPlan, fault: object, change: Callable[[Hit, Others], Hit], *, best: int | None = None) -> None:
    """Edit the points shown one by one, only the `best` ones of each list where that is given; one that is given back as it was, is."""

    def run(hits: Hits, others: Others) -> Hits:
        edited = [change(hit, others) for hit in hits[:best]] + ([] if best is None else hits[best:])
        return hits if all(new is old for new, old in zip(edited, hits, strict=True)) else edited

    edit_hits(plan, fault, run, searches=False)


class WholeRank(IntEnum):
    """In which order the edits of a body run, whatever the order in which their faults were put."""

    FIELDS = 0
    """Of what its JSON says."""
    BYTES = 1
    """Of the bytes, which may be no JSON afterwards."""


@dataclass(frozen=True, slots=True)
class _Ranked:
    plan: VectorPlan
    fault: object
    rank: WholeRank
    edit: Callable[[Whole], Whole]

    def __call__(self, whole: Whole) -> Whole:
        edited = self.edit(whole)
        if edited is not whole:
            _bites(self.plan, self.fault)
        return edited


def edit_whole(plan: VectorPlan, fault: object, rank: WholeRank, edit: Callable[[Whole], Whole]) -> None:
    """Edit the answer as it leaves; an edit that gives back the very answer that it was given has changed nothing."""
    plan.void.append(fault)
    plan.whole_edits.append(_Ranked(plan, fault, rank, edit))
    plan.whole_edits.sort(key=lambda one: one.rank if isinstance(one, _Ranked) else WholeRank.FIELDS)


def _bites(plan: VectorPlan, fault: object) -> None:
    plan.void[:] = [one for one in plan.void if one is not fault]


def count_once_made(plan: VectorPlan, fault: object) -> None:
    """Count the fault only where the operation is carried out: a call that is refused for a reason of its own is not changed by it."""
    plan.void.append(fault)

    def run(body: Any) -> Any:
        _bites(plan, fault)
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
        _bites(plan, fault)
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
        _bites(plan, fault)

    plan.renew = run
    return True
