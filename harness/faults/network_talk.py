"""What the faults share that are proved by whole conversations with the callee, through the proxy and past it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from harness.faults.base import Evidence, FaultError, Parameters
from harness.faults.conversation import Talk
from harness.faults.edge import EdgeFault, Ways
from harness.faults.roundtrip import RoundTripError
from harness.faults.words import Words, words_for
from harness.scenario.units import percent

PATIENCE_S = 0.4
"""Of a look, for an answer from a service on the same machine."""
DIRECT_PATIENCE_S = 3.0
TRIES_MAX = 40
BY_PACKETS = ("Networked", "Proxied")
"""Whichever a stack has: rules in the network namespaces of an edge's ends, or a proxy on it."""
MEND = ()
"""What recovers: nothing that an operator can do to the services mends a network; it must call somebody."""


def _share(text: object) -> float:
    return percent(text)


Share = Annotated[
    float,
    BeforeValidator(_share),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$", "examples": ["10%"], "unit": "percent"}),
]
"""`10%`, as a number from 0 to 1."""
Likely = Annotated[Share, Field(ge=0.05, le=1.0)]
"""A probability that can be proved within seconds."""


class TalkFault(EdgeFault[Parameters]):
    """A fault that shows in a conversation."""

    def past(self, ways: Ways, ask: bytes) -> Talk:
        """As it should be. Raises FaultError when the callee does not answer: nothing can be compared with that."""
        found = ways.past(ask, DIRECT_PATIENCE_S)
        if not found.answer:
            raise FaultError(f"{self.target.service} itself does not answer ({found.end})")
        return found

    def words(self) -> Words:
        """What to say to the callee. Raises FaultError."""
        try:
            return words_for(self.callee_url())
        except RoundTripError as error:
            raise FaultError(str(error)) from error

    def whole(self) -> Evidence | None:
        """A conversation as the caller has it goes as one that nothing touches."""
        ways, ask = self.ways(), self.words().ask()
        direct, through = self.past(ways, ask), ways.through(ask, DIRECT_PATIENCE_S)
        if through.end != direct.end or len(through.answer) != len(direct.answer):
            return None
        return {"end": through.end, "answer_bytes": len(through.answer), "direct_answer_bytes": len(direct.answer)}
