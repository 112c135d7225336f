"""Writes that are not what their acknowledgement says, and collections that are not what their name says."""

import math
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, ClassVar

from mocks.faults.documents import Param
from mocks.vector.faults.edits import count_once_made, edit_counts, edit_hits, renew_once
from mocks.vector.faults.registry import FAULTS, OfOperations, OfPointWrites
from mocks.vector.plan import VectorPlan


@FAULTS.register("acknowledged_not_visible")
@dataclass(kw_only=True)
class AcknowledgedNotVisible(OfPointWrites):
    """Read your own write, and find nothing: an index that lags, or a write-ahead log that is lost."""

    summary: ClassVar[str] = "Writes of points are checked and acknowledged; they become visible after `delay_s`, or never."
    delay_s: Annotated[float | None, Param("until what was written can be read; none: it is lost", "s", above=0)] = None

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Put it off."""
        plan.visible_after_s = math.inf if self.delay_s is None else max(plan.visible_after_s, self.delay_s)
        count_once_made(plan, self)
        return True


@FAULTS.register("collection_recreated")
@dataclass(kw_only=True)
class CollectionRecreated(OfOperations):
    """Somebody dropped the collection and created it again under the same name."""

    operations = frozenset({"query", "get", "count", "upsert", "update", "delete", "collection_get"})

    summary: ClassVar[str] = (
        "The collection is another one of the same name. Chroma: it has a new id (once), so handles that were open get 404 until they are "
        "fetched again. Qdrant: it is empty as long as the fault lasts."
    )
    _renewed: set[tuple[str | None, str]] = field(init=False, default_factory=set, repr=False)

    def concerns(self, plan: VectorPlan) -> bool:
        """Not who asks Chroma for a collection: he would get the new id, and miss nothing."""
        return super().concerns(plan) and (plan.facts.product, plan.facts.operation) != ("chroma", "collection_get")

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Give it another id, once; or show it empty."""
        if plan.facts.product == "qdrant":
            edit_hits(plan, self, lambda hits, _: [] if hits else hits, searches=False)
            edit_counts(plan, self)
            return True
        if plan.facts.collection is None:
            return False
        return renew_once(plan, self, self._renewed, (plan.facts.tenant, plan.facts.collection))
