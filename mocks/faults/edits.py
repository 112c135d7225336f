"""Edits of answers. A fault stands as void until an edit of its own has changed something, so that `applied` stays honest."""

import json
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, Protocol, TypeVar


class Voidable(Protocol):
    """A plan that lists the faults that have changed nothing yet; `FaultTable.settle` takes them back."""

    void: list[object]


class Whole(Protocol):
    """An answer in one piece. `length` is the Content-Length to declare where it is not the body's."""

    body: bytes
    content_type: str
    length: int | None


_Answer = TypeVar("_Answer")
_Whole = TypeVar("_Whole", bound=Whole)


class WholePlan(Voidable, Protocol[_Whole]):
    """A plan whose answer may come in one piece."""

    whole_edits: list[Callable[[_Whole], _Whole]]


class WholeRank(IntEnum):
    """In which order the edits of a body run, whatever the order in which their faults were put."""

    FIELDS = 0
    """Of what its JSON says."""
    BYTES = 1
    """Of the bytes, which may be no JSON afterwards."""


@dataclass(frozen=True, slots=True)
class _Edit(Generic[_Answer]):
    plan: Voidable
    fault: object
    change: Callable[[_Answer], _Answer]
    rank: int

    def __call__(self, answer: _Answer) -> _Answer:
        changed = self.change(answer)
        if changed is not answer:
            bites(self.plan, self.fault)
        return changed


def add_edit(
    plan: Voidable, fault: object, edits: list[Callable[[_Answer], _Answer]], change: Callable[[_Answer], _Answer], rank: int = 0
) -> None:
    """Add to the plan's `edits`, before those of higher rank; one that gives back the very answer that it was given has changed nothing."""
    plan.void.append(fault)
    edits.append(_Edit(plan, fault, change, rank))
    edits.sort(key=lambda edit: edit.rank if isinstance(edit, _Edit) else 0)


def bites(plan: Voidable, fault: object) -> None:
    """The fault has changed something."""
    plan.void[:] = [one for one in plan.void if one is not fault]


def edit_whole(plan: WholePlan[_Whole], fault: object, rank: WholeRank, change: Callable[[_Whole], _Whole]) -> None:
    """Edit the answer as it leaves; a change that gives back the very answer that it was given has changed nothing."""
    add_edit(plan, fault, plan.whole_edits, change, rank)


def edit_json(plan: WholePlan[Any], fault: object, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit the body as an object, in place; one that is none is left as it is."""

    def change(whole: Whole) -> Whole:
        value = json.loads(whole.body) if whole.content_type == "application/json" else None
        if not isinstance(value, dict):
            return whole
        before = _dumped(value)
        edit(value)
        after = _dumped(value)
        return whole if after == before else with_body(whole, after)

    edit_whole(plan, fault, WholeRank.FIELDS, change)


def with_body(whole: _Whole, body: bytes) -> _Whole:
    """The answer with another body."""
    edited = copy(whole)
    edited.body = body
    return edited


def _dumped(value: dict[str, Any]) -> bytes:
    """The standard library's JSON reads and writes the NaN that another fault may have put there."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
