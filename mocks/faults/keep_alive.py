"""What becomes of the connection after a good answer."""

from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar, Protocol

from mocks.faults.base import OfAnyCall, Registry
from mocks.faults.documents import Param
from mocks.http.message import Cut

TYPES = Registry()


class KeepAlivePlan(Protocol):
    """What a plan says of the connection's next request."""

    cut_next: Cut | None
    """Cut it when it is used again."""


@TYPES.register("dead_keep_alive")
@dataclass(kw_only=True)
class DeadKeepAlive(OfAnyCall):
    """A connection of the pool is dead when it is used again, as behind a load balancer with a shorter idle timeout than the client's."""

    summary: ClassVar[str] = "A good answer, keep-alive promised; the next request on that connection is cut at its first byte."
    how: Annotated[Cut, Param("in order or by reset")] = "fin"

    def apply(self, plan: KeepAlivePlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Set the trap."""
        plan.cut_next = self.how
        return True
