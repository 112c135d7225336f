"""What becomes of the connection, in the place of an answer: real TCP behaviour."""

from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar, Literal, Protocol

from mocks.faults.base import OfAnyCall, Registry
from mocks.faults.documents import Param
from mocks.http.message import Cut

TYPES = Registry()


class ConnectionPlan(Protocol):
    """What a plan says of the connection of its call."""

    before: Cut | Literal["hang"] | None
    """What it does in the place of an answer."""
    decided_after_s: float
    """How long that keeps the client waiting."""


@TYPES.register("connection_refused", standing=True)
@dataclass(kw_only=True)
class ConnectionRefused(OfAnyCall):
    """As if the process had died: nobody listens, and connections that were open are gone."""

    summary: ClassVar[str] = "The port refuses connections (ECONNREFUSED); a request on a connection that was open is answered by a reset."

    def apply(self, plan: ConnectionPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Reset the open connection: it would lead past the closed door."""
        plan.before = "reset"
        return True


@dataclass(kw_only=True)
class _CutBefore(OfAnyCall):
    """Cuts the connection instead of answering."""

    how: ClassVar[Cut]
    after_s: Annotated[float, Param("how long the client is kept waiting", "s", least=0)] = 0.0

    def apply(self, plan: ConnectionPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Cut."""
        plan.before = self.how
        plan.decided_after_s = self.after_s
        return True


@TYPES.register("connection_reset")
@dataclass(kw_only=True)
class ConnectionReset(_CutBefore):
    """The connection breaks while the client waits."""

    summary: ClassVar[str] = (
        "The request is read, not carried out, and the connection reset (RST) before the first byte of an answer, after `after_s`."
    )

    how: ClassVar[Cut] = "reset"


@TYPES.register("connection_closed")
@dataclass(kw_only=True)
class ConnectionClosed(_CutBefore):
    """The connection is closed in order, but without an answer."""

    summary: ClassVar[str] = (
        "The request is read, not carried out, and the connection closed (FIN) before the first byte of an answer, after `after_s`."
    )

    how: ClassVar[Cut] = "fin"


@TYPES.register("connection_hang")
@dataclass(kw_only=True)
class ConnectionHang(OfAnyCall):
    """Nothing comes, ever: only a timeout of the client's own ends it, and not every client has one."""

    summary: ClassVar[str] = "The request is read, not carried out and never answered; the connection stays open until the client leaves."

    def apply(self, plan: ConnectionPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Say nothing."""
        plan.before = "hang"
        return True
