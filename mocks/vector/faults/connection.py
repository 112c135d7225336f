"""What becomes of the connection, in the place of an answer or around it: real TCP behaviour."""

from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar, Literal

from mocks.faults.documents import Param
from mocks.http.message import Cut
from mocks.vector.faults.edits import count_once_made
from mocks.vector.faults.registry import FAULTS, OfAnyCall, OfPointWrites
from mocks.vector.plan import VectorPlan


@FAULTS.register("connection_refused", standing=True)
@dataclass(kw_only=True)
class ConnectionRefused(OfAnyCall):
    """As if the process had died: nobody listens, and connections that were open are gone."""

    summary: ClassVar[str] = "The port refuses connections (ECONNREFUSED); a request on a connection that was open is answered by a reset."

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Reset the open connection: it would lead past the closed door."""
        plan.before = "reset"
        return True


@dataclass(kw_only=True)
class _CutBefore(OfAnyCall):
    """Cuts the connection instead of answering."""

    how: ClassVar[Cut]
    after_s: Annotated[float, Param("how long the client is kept waiting", "s", least=0)] = 0.0

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Cut."""
        plan.before = self.how
        plan.decided_after_s = self.after_s
        return True


@FAULTS.register("connection_reset")
@dataclass(kw_only=True)
class ConnectionReset(_CutBefore):
    """The connection breaks while the client waits."""

    summary: ClassVar[str] = (
        "The request is read, not carried out, and the connection reset (RST) before the first byte of an answer, after `after_s`."
    )

    how: ClassVar[Cut] = "reset"


@FAULTS.register("connection_closed")
@dataclass(kw_only=True)
class ConnectionClosed(_CutBefore):
    """The connection is closed in order, but without an answer."""

    summary: ClassVar[str] = (
        "The request is read, not carried out, and the connection closed (FIN) before the first byte of an answer, after `after_s`."
    )

    how: ClassVar[Cut] = "fin"


@FAULTS.register("connection_hang")
@dataclass(kw_only=True)
class ConnectionHang(OfAnyCall):
    """Nothing comes, ever: only a timeout of the client's own ends it, and Chroma's client has none."""

    summary: ClassVar[str] = "The request is read, not carried out and never answered; the connection stays open until the client leaves."

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Say nothing."""
        plan.before = "hang"
        return True


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


@FAULTS.register("dead_keep_alive")
@dataclass(kw_only=True)
class DeadKeepAlive(OfAnyCall):
    """A connection of the pool is dead when it is used again, as behind a load balancer with a shorter idle timeout than the client's."""

    summary: ClassVar[str] = "A good answer, keep-alive promised; the next request on that connection is cut at its first byte."
    how: Annotated[Cut, Param("in order or by reset")] = "fin"

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Set the trap."""
        plan.cut_next = self.how
        return True
