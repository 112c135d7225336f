"""How the head of an answer comes."""

from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar, Protocol

from mocks.faults.base import OfAnyCall, Registry
from mocks.faults.documents import Param

TYPES = Registry()


class HeadPlan(Protocol):
    """What a plan says of the answer's head."""

    headers_take_s: float
    """Trickle it over that long."""


@TYPES.register("slow_headers")
@dataclass(kw_only=True)
class SlowHeaders(OfAnyCall):
    """The head of the answer trickles in: a timeout between two bytes never fires, one over the whole does."""

    summary: ClassVar[str] = "Status line and headers come byte by byte over `over_s`; the answer follows."
    over_s: Annotated[float, Param("how long the head takes", "s", above=0)] = 5.0

    def apply(self, plan: HeadPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Trickle."""
        plan.headers_take_s = max(plan.headers_take_s, self.over_s)
        return True
