"""A network on which nothing arrives, or connections are cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from harness.faults.base import Evidence
from harness.faults.edge_rules import Direction, Rule, receivers
from harness.faults.network_rules import Rules
from harness.faults.network_talk import BY_PACKETS, MEND, PATIENCE_S, TRIES_MAX, Likely, TalkFault
from harness.scenario.catalog import ByRules, FaultParameters, FaultSpec


class PartitionParameters(FaultParameters):
    """Parameters of `network.partition`."""

    direction: Direction = Field(default="both", description="what does not arrive: answers, questions, or both; new connections need both")


class NetworkPartition(TalkFault[PartitionParameters]):
    """Packets are dropped: open connections fall silent and go on where they were afterwards, new ones are not made."""

    spec = FaultSpec(
        name="network.partition",
        summary="Lets nothing arrive on an edge, in one direction or both: open connections hang, new ones cannot be made.",
        kind="network",
        parameters=PartitionParameters,
        targets=("edge",),
        needs=(),
        either=BY_PACKETS,
        evidence="for the caller no connection is made, or no answer comes, while one past the fault is answered; gone: both are answered",
        example="{id: cut-off, type: network.partition, target: retrieval->postgres, at: fault, for: 20s}",
        recoverable_by=MEND,
    )

    def document(self) -> Mapping[str, Any]:
        return {"type": "partition", "direction": self.parameters.direction}

    def rules(self) -> Sequence[Rule]:
        return [Rule(end, Rules.drop) for end in receivers(self.parameters.direction)]

    def verify(self) -> Evidence | None:
        ways, ask = self.ways(), self.words().ask()
        through = ways.through(ask, PATIENCE_S)
        if through.end not in ("unreachable", "silent"):
            return None
        return {"end": through.end, "waited_s": PATIENCE_S, "direct_answer_s": self.past(ways, ask).answered_s, **self.touched()}


class NothingParameters(FaultParameters):
    """A fault without parameters."""


class NetworkBlackhole(TalkFault[NothingParameters]):
    """Connections are made, and whatever is sent on them vanishes. Who has lost bytes is reset in the end."""

    spec = FaultSpec(
        name="network.blackhole",
        summary="Takes connections and swallows what is sent on them, in both directions.",
        kind="network",
        parameters=NothingParameters,
        targets=("edge",),
        needs=("Proxied",),
        evidence="through the proxy a connection is made and no answer comes, while one past it is answered; gone: both are answered",
        example="{id: swallowed, type: network.blackhole, target: query->generation, at: fault, for: 20s}",
        recoverable_by=MEND,
    )

    def document(self) -> Mapping[str, Any]:
        return {"type": "blackhole", "direction": "both"}

    def verify(self) -> Evidence | None:
        ways, ask = self.ways(), self.words().ask()
        through = ways.through(ask, PATIENCE_S)
        if through.end != "silent" or through.answer:
            return None
        return {"end": through.end, "waited_s": PATIENCE_S, "direct_answer_s": self.past(ways, ask).answered_s, **self.touched()}


class ResetParameters(FaultParameters):
    """Parameters of `network.reset`."""

    probability: Likely = Field(default=1.0, description="of each answer to be cut, not of each connection")
    after_bytes: int = Field(
        default=0, ge=0, le=64, description="of a connection's answers that still arrive", json_schema_extra={"unit": "bytes"}
    )
    open_connections: bool = Field(default=True, description="cut those that are open when it begins as well")

    def by_rules(self) -> ByRules:
        return "never" if self.after_bytes else "anywhere"  # a rule sees packets, and no beginning of an answer


class NetworkReset(TalkFault[ResetParameters]):
    """Connections are cut with RST: all that are open, and then in the place of answers."""

    spec = FaultSpec(
        name="network.reset",
        summary="Cuts connections with RST, those that are open and, as likely as asked, new ones in the place of an answer.",
        kind="network",
        parameters=ResetParameters,
        targets=("edge",),
        needs=(),
        either=BY_PACKETS,
        evidence="conversations of the caller end with a reset, those past the fault do not; gone: none does",
        example="{id: resets, type: network.reset, target: retrieval->cache, at: fault, for: 30s, with: {probability: 30%}}",
        recoverable_by=MEND,
    )

    def document(self) -> Mapping[str, Any]:
        wanted = self.parameters
        return {
            "type": "reset",
            "probability": wanted.probability,
            "after_bytes": wanted.after_bytes,
            "open": float(wanted.open_connections),
            "direction": "downstream",
        }

    def rules(self) -> Sequence[Rule]:
        return (Rule("callee", self._cut),)

    def _cut(self, rules: Rules, instance: str, peers: Sequence[str]) -> None:
        """First the rule: what is cut is opened again at once."""
        rules.reset(instance, peers, self.parameters.probability)
        if self.parameters.open_connections:
            rules.cut(instance, peers)

    def verify(self) -> Evidence | None:
        ways, ask = self.ways(), self.words().ask()
        direct = self.past(ways, ask)
        for number, through in enumerate(ways.several(ask, 1.0, TRIES_MAX), 1):
            forwarded = not ways.straight and through.end == "closed" and len(through.answer) < len(direct.answer)
            if through.end == "reset" or forwarded:
                return {
                    "end": through.end,
                    "conversations": number,
                    "answer_bytes": len(through.answer),
                    "direct_end": direct.end,
                    **self.touched(),
                }
        return None


class DataLimitParameters(FaultParameters):
    """Parameters of `network.data_limit`."""

    after_bytes: int = Field(
        ge=0,
        le=64,
        description="of answers that a connection passes before it is closed; an answer is longer",
        json_schema_extra={"unit": "bytes"},
    )


class NetworkDataLimit(TalkFault[DataLimitParameters]):
    """Connections are closed in order in the middle of an answer, which tests whether a reader takes a part for the whole."""

    spec = FaultSpec(
        name="network.data_limit",
        summary="Closes each connection in order after so many bytes of answers.",
        kind="network",
        parameters=DataLimitParameters,
        targets=("edge",),
        needs=("Proxied",),
        evidence="an answer through the proxy ends after exactly so many bytes, the one past it does not; gone: both are whole",
        example="{id: cut-short, type: network.data_limit, target: query->retrieval, at: fault, for: 30s, with: {after_bytes: 40}}",
        recoverable_by=MEND,
    )

    def document(self) -> Mapping[str, Any]:
        return {"type": "data_limit", "after_bytes": self.parameters.after_bytes, "direction": "downstream"}

    def verify(self) -> Evidence | None:
        ways, ask = self.ways(), self.words().ask()
        through, direct = ways.through(ask, 1.0), self.past(ways, ask)
        if through.end != "closed" or len(through.answer) != self.parameters.after_bytes or len(direct.answer) <= len(through.answer):
            return None
        return {"answer_bytes": len(through.answer), "direct_answer_bytes": len(direct.answer), **self.touched()}


FAULTS = (NetworkPartition, NetworkBlackhole, NetworkReset, NetworkDataLimit)
