"""What becomes of the connection once an operation was carried out."""

from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar, Literal

from mocks.faults.documents import Param
from mocks.vector.faults.edits import count_once_made
from mocks.vector.faults.registry import FAULTS, OfPointWrites
from mocks.vector.plan import VectorPlan


@FAULTS.register("lost_acknowledgement")
@dataclass(kw_only=True)
class LostAcknowledgement(OfPointWrites):
    """The client cannot know whether its write was made: a repetition must do no harm."""

    summary: ClassVar[str] = "A write is made, but instead of its acknowledgement the connection is cut, or nothing comes."
    how: Annotated[Literal["reset", "fin", "hang"], Param("what comes instead")] = "reset"

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Cut once it is made; one that is refused is told so."""
        plan.after = self.how
        count_once_made(plan, self)
        return True
