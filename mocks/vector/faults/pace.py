"""Answers that come late."""

from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar

from mocks.faults.base import OfAnyCall
from mocks.faults.documents import Param
from mocks.vector.faults.registry import FAULTS
from mocks.vector.plan import VectorPlan


@FAULTS.register("slow_answer")
@dataclass(kw_only=True)
class SlowAnswer(OfAnyCall):
    """An index that is being rebuilt, a disk that is busy, a neighbour that is noisy."""

    summary: ClassVar[str] = "Every answer comes `delay_s` later, by up to `spread_s` more, drawn for each call; it is right."
    delay_s: Annotated[float, Param("added to what the profile draws", "s", above=0)] = 1.0
    spread_s: Annotated[float, Param("most that is added beyond it, evenly drawn", "s", least=0)] = 0.0

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Wait."""
        plan.slowed_s += self.delay_s + rng.random() * self.spread_s
        return True


@FAULTS.register("brownout")
@dataclass(kw_only=True)
class Brownout(OfAnyCall):
    """A service past its knee: the more is asked, the longer everyone waits, and repetitions make it worse."""

    summary: ClassVar[str] = "Every answer comes later by `per_in_flight_s` for each other call that is under way."
    per_in_flight_s: Annotated[float, Param("added for each other call under way", "s", above=0)] = 0.05

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Wait for the others."""
        others = plan.facts.in_flight - 1
        plan.slowed_s += others * self.per_in_flight_s
        return others > 0
