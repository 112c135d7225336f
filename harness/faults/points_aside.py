"""Points that a fault removes or changes, kept in a collection of its own beside theirs until they are put back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.faults.base import Undo
from harness.faults.points import Collection, Record, collection
from harness.faults.settling import until_quiet
from harness.record.clock import Clock, SystemClock
from harness.stack.base import PointsAt

STALE = "batch_text"
"""Label of a point aside: what the fault wrote in the place of its text; without it the point was removed."""
SAME_WITHIN = 1e-5
"""Of a number of a vector: a store that normalises does so again when a point is put back."""


class PointsAside:
    """The points of documents, before and after. `name` is the fault's, and of the collection beside."""

    def __init__(self, at: PointsAt, name: str, clock: Clock) -> None:
        self._at = at
        self._name = name
        self._here = collection(at, clock)
        self._aside = collection(at, clock, name)

    @property
    def waiting(self) -> bool:
        """Whether points wait to be put back. Raises FaultError."""
        return self._aside.exists()

    def undo(self) -> Undo:
        return Undo("points", {**asdict(self._at), "aside": self._name})

    def read(self, doc_ids: Sequence[str]) -> list[Record]:
        """The points of these documents now. Raises FaultError."""
        return sorted(self._here.read(doc_ids), key=lambda record: record.id)

    def remove(self, records: Sequence[Record]) -> None:
        """Put them aside, then remove them. Raises FaultError."""
        self._keep(records)
        self._here.remove([record.id for record in records])

    def rewrite(self, records: Sequence[Record], texts: Mapping[str, str]) -> None:
        """Put aside those that get another text (by id), then write it. Raises FaultError."""
        changed = [record for record in records if texts.get(record.id, record.text) != record.text]
        self._keep([replace(one, labels={**one.labels, STALE: texts[one.id]}) for one in changed])
        self._here.put([replace(one, text=texts[one.id]) for one in changed])

    def put_back(self) -> int:
        """As they were; how many. What has been indexed anew since then is left alone. Harmless when nothing waits. Raises FaultError."""
        return put_back(self._here, self._aside)

    def _keep(self, records: Sequence[Record]) -> None:
        if records:
            self._aside.create(len(records[0].vector))
            self._aside.put(records)


def put_back(here: Collection, aside: Collection) -> int:
    """Move what is aside to its place, and end the collection that it was in."""
    if not aside.exists():
        return 0
    kept = aside.read()
    now = {record.id: record for record in here.read(sorted({record.doc_id for record in kept}))}
    newest: dict[str, int] = {}
    for record in now.values():
        newest[record.doc_id] = max(record.revision, newest.get(record.doc_id, record.revision))
    due = [one for one in kept if _is_due(one, now.get(one.id)) and one.revision >= newest.get(one.doc_id, one.revision)]
    here.put([replace(one, labels={key: value for key, value in one.labels.items() if key != STALE}) for one in due])
    aside.drop()
    return len(due)


def _is_due(kept: Record, now: Record | None) -> bool:
    stale = kept.labels.get(STALE)
    return now is None if stale is None else now is not None and now.text == stale


def same(before: Sequence[Record], after: Sequence[Record]) -> bool:
    """Whether points, in one order, are alike: ids, texts and labels exactly, vectors as a store computes."""
    return len(before) == len(after) and all(map(_alike, before, after))


def _alike(a: Record, b: Record) -> bool:
    near = len(a.vector) == len(b.vector) and all(math.isclose(x, y, abs_tol=SAME_WITHIN) for x, y in zip(a.vector, b.vector, strict=True))
    return near and (a.id, a.text, dict(a.labels)) == (b.id, b.text, dict(b.labels))


def named(here: Collection, prefix: str) -> list[str]:
    """Ids of the points of documents whose names begin so."""
    return [record.id for record in here.read(vectors=False) if record.doc_id.startswith(prefix)]


def undo_points(args: Mapping[str, Any], _work_dir: Path) -> str:
    """In a vector store (`product`, `url`, `collection`): put back what is in `aside`, or remove the points of documents whose names begin
    with `prefix`, until none has come for `quiet_s` (at most SETTLES_WITHIN_S). Raises FaultError.
    """
    at = PointsAt(str(args["product"]), str(args["url"]), str(args["collection"]))
    clock = SystemClock()
    here = collection(at, clock)
    if args.get("aside"):
        return f"put {put_back(here, collection(at, clock, str(args['aside'])))} point(s) back"
    prefix, quiet_s = str(args["prefix"]), float(args.get("quiet_s", 0.0))
    return f"removed {sum(until_quiet(lambda: _remove_named(here, prefix), quiet_s, clock, 'points'))} point(s)"


def _remove_named(here: Collection, prefix: str) -> int:
    ids = named(here, prefix)
    if ids:
        here.remove(ids)
    return len(ids)
