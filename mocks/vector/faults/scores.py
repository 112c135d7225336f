"""Scores that say nothing."""

import math
from dataclasses import dataclass, replace
from random import Random
from typing import Annotated, ClassVar, Literal

from mocks.faults.documents import Param
from mocks.vector.faults.edits import edit_hits
from mocks.vector.faults.registry import FAULTS, OfSearches
from mocks.vector.plan import Hits, VectorPlan


@FAULTS.register("nan_scores")
@dataclass(kw_only=True)
class NanScores(OfSearches):
    """No JSON by the standard, and yet Python's and JavaScript's looser parsers take it; comparisons with it are all false."""

    summary: ClassVar[str] = "Scores (Chroma: distances) are a bare `NaN`, or an infinity, as a broken server sends them."
    value: Annotated[Literal["nan", "inf", "-inf"], Param("what they are")] = "nan"

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the lists."""
        score = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[self.value]
        edit_hits(plan, self, lambda hits, _: _scored(hits, score))
        return True


@FAULTS.register("constant_scores")
@dataclass(kw_only=True)
class ConstantScores(OfSearches):
    """Every threshold on scores is passed by all or by none."""

    summary: ClassVar[str] = "All results of a search have the same score."
    score: Annotated[float | None, Param("that score; none: the best one's own")] = None

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the lists."""
        edit_hits(plan, self, lambda hits, _: self._levelled(hits))
        return True

    def _levelled(self, hits: Hits) -> Hits:
        score = self.score if self.score is not None or not hits else hits[0].score
        return hits if all(hit.score == score for hit in hits) else _scored(hits, score)


def _scored(hits: Hits, score: float | None) -> Hits:
    return [replace(hit, score=score) for hit in hits] if hits else hits
