"""Searches that find other points than the nearest."""

from dataclasses import dataclass, replace
from random import Random
from typing import Annotated, ClassVar, Literal

from mocks.faults.documents import Param
from mocks.vector.faults.edits import edit_hits
from mocks.vector.faults.registry import FAULTS, OfSearches
from mocks.vector.plan import Hits, Others, VectorPlan


@FAULTS.register("empty_results")
@dataclass(kw_only=True)
class EmptyResults(OfSearches):
    """An index that is there, and answers, and knows nothing."""

    summary: ClassVar[str] = "Searches find nothing: 200 with empty lists."

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the lists."""
        edit_hits(plan, self, lambda hits, _: [] if hits else hits)
        return True


@FAULTS.register("fewer_results")
@dataclass(kw_only=True)
class FewerResults(OfSearches):
    """A shard that does not answer, an index that is behind."""

    summary: ClassVar[str] = "Searches give only the best `keep`, however many were asked for."
    keep: Annotated[int, Param("results that are left", "results", least=1)] = 1

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the lists."""
        edit_hits(plan, self, lambda hits, _: hits[: self.keep] if len(hits) > self.keep else hits)
        return True


@FAULTS.register("irrelevant_results")
@dataclass(kw_only=True)
class IrrelevantResults(OfSearches):
    """The bottom of the ranking in the place of its top: vectors of another model in the same collection look like this."""

    summary: ClassVar[str] = "Searches give the farthest points instead of the nearest."
    scores: Annotated[Literal["true", "top"], Param("their own scores, or those of the points that they displace")] = "true"

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the lists."""
        edit_hits(plan, self, self._farthest)
        return True

    def _farthest(self, hits: Hits, others: Others) -> Hits:
        worst = others.farthest(len(hits))[::-1] if hits else []
        if {hit.id for hit in worst} == {hit.id for hit in hits}:
            return hits  # the collection has no others
        if self.scores == "true":
            return worst
        return [replace(bad, score=good.score) for bad, good in zip(worst, hits, strict=False)]


@FAULTS.register("duplicate_results")
@dataclass(kw_only=True)
class DuplicateResults(OfSearches):
    """An ingestion that ran twice under new ids looks like this: the context holds one passage over and over."""

    summary: ClassVar[str] = "Searches give each point `copies` times in a row; the list stays as long as it was."
    copies: Annotated[int, Param("how often each comes", "times", least=2)] = 2

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the lists."""
        edit_hits(plan, self, self._repeated)
        return True

    def _repeated(self, hits: Hits, _others: Others) -> Hits:
        if len(hits) < 2:
            return hits
        return [hit for hit in hits for _ in range(self.copies)][: len(hits)]


@FAULTS.register("degraded_recall")
@dataclass(kw_only=True)
class DegradedRecall(OfSearches):
    """An approximate index with too small a beam: most neighbours are right, and nobody sees which are not."""

    summary: ClassVar[str] = "Each true neighbour is kept with probability `recall`; those that are not make room for the ranks behind."
    recall: Annotated[float, Param("expected share of the true neighbours in the answer", "ratio", least=0, most=1)] = 0.5

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the lists, every one by draws of its own."""
        edit_hits(plan, self, lambda hits, others: self._missed(hits, others, rng))
        return True

    def _missed(self, hits: Hits, others: Others, rng: Random) -> Hits:
        kept = [hit for hit in hits if rng.random() < self.recall]
        missing = len(hits) - len(kept)
        if not missing:
            return hits
        true = {hit.id for hit in hits}
        return kept + [hit for hit in others.behind(missing) if hit.id not in true]


@FAULTS.register("other_tenant")
@dataclass(kw_only=True)
class OtherTenant(OfSearches):
    """The filter that keeps tenants apart is not applied: the gravest way to answer."""

    summary: ClassVar[str] = "The filter is ignored: the best point that it would have kept out is among the results, at its rank."
    key: Annotated[
        str | None, Param("payload or metadata key that tells tenants apart: only points with another value there count; none: any point")
    ] = None
    leaks: Annotated[int, Param("how many foreign points come, at most: in the place of the last results", "results", least=1)] = 1

    _LOOKS: ClassVar = (50, 2_000)
    """How far behind the answer's length foreign points are looked for, should there be none nearer."""

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the lists."""
        edit_hits(plan, self, self._leaked)
        return True

    def _leaked(self, hits: Hits, others: Others) -> Hits:
        for look in self._LOOKS:
            wider = others.nearest(len(hits) + look, filtered=False)
            known = {hit.id for hit in others.nearest(len(hits) + look)}
            leaking = self._foreign([hit for hit in wider if hit.id not in known], hits)
            if leaking or len(wider) < len(hits) + look:
                break
        if not leaking:
            return hits
        ranks = {hit.id: rank for rank, hit in enumerate(wider)}
        answered = hits[: max(0, len(hits) - len(leaking))] + leaking
        return sorted(answered, key=lambda hit: ranks.get(hit.id, len(wider)))

    def _foreign(self, kept_out: Hits, hits: Hits) -> Hits:
        most = min(self.leaks, max(1, len(hits)))
        if self.key is None:
            return kept_out[:most]
        own = [(hit.payload or {}).get(self.key) for hit in hits]
        return [hit for hit in kept_out if (hit.payload or {}).get(self.key) not in own][:most]
