"""A network that changes what it carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from harness.faults.base import Evidence
from harness.faults.network_talk import MEND, TRIES_MAX, Likely, TalkFault
from harness.scenario.catalog import FaultParameters, FaultSpec

SAMPLES = 3
"""Answers past the proxy: where these differ among themselves (a date, a counter), a difference says nothing."""


class CorruptionParameters(FaultParameters):
    """Parameters of `network.corruption`."""

    probability: Likely = Field(description="of each chunk of an answer, not of each connection")


class NetworkCorruption(TalkFault[CorruptionParameters]):
    """One bit of a chunk is another when it arrives: what a checksum of TCP misses, or a broken middlebox adds."""

    spec = FaultSpec(
        name="network.corruption",
        summary="Flips one bit in some of the chunks that are answered.",
        kind="network",
        parameters=CorruptionParameters,
        targets=("edge",),
        needs=("Proxied",),
        evidence="an answer through the proxy differs where those past it are all alike; gone: none does",
        example="{id: bit-rot, type: network.corruption, target: retrieval->cache, at: fault, for: 30s, with: {probability: 20%}}",
        recoverable_by=MEND,
    )

    def document(self) -> Mapping[str, Any]:
        return {"type": "corruption", "probability": self.parameters.probability, "direction": "downstream"}

    def verify(self) -> Evidence | None:
        ways, ask = self.ways(), self.words().ask()
        direct = [self.past(ways, ask).answer for _ in range(SAMPLES)]
        for number in range(1, TRIES_MAX + 1):
            changed = corrupted(ways.through(ask, 1.0).answer, direct)
            if changed:
                return {"bytes_changed": changed, "conversations": number, "answer_bytes": len(direct[0]), **self.touched()}
        return None


class DuplicateParameters(FaultParameters):
    """Parameters of `network.duplicate`."""

    probability: Likely = Field(description="of each chunk of an answer, not of each connection")


class NetworkDuplicate(TalkFault[DuplicateParameters]):
    """A chunk arrives twice: not a packet, which TCP would sort out, but bytes, as from an intermediary that repeats itself."""

    spec = FaultSpec(
        name="network.duplicate",
        summary="Repeats some of the chunks that are answered.",
        kind="network",
        parameters=DuplicateParameters,
        targets=("edge",),
        needs=("Proxied",),
        evidence="an answer through the proxy is longer by a repetition of itself than those past it; gone: as long",
        example="{id: echo, type: network.duplicate, target: retrieval->cache, at: fault, for: 30s, with: {probability: 20%}}",
        recoverable_by=MEND,
    )

    def document(self) -> Mapping[str, Any]:
        return {"type": "duplicate", "probability": self.parameters.probability, "direction": "downstream"}

    def verify(self) -> Evidence | None:
        ways, ask = self.ways(), self.words().ask()
        direct = max(len(self.past(ways, ask).answer) for _ in range(SAMPLES))
        for number in range(1, TRIES_MAX + 1):
            through = ways.through(ask, 1.0)
            if len(through.answer) > direct:
                return {"answer_bytes": len(through.answer), "direct_answer_bytes": direct, "conversations": number, **self.touched()}
        return None


def corrupted(answer: bytes, direct: list[bytes]) -> int:
    """How many bytes of an answer differ where all of the others are alike; 0 where lengths differ, which says something else."""
    if any(len(other) != len(answer) for other in direct):
        return 0
    return sum(1 for byte, *others in zip(answer, *direct, strict=True) if len(set(others)) == 1 and byte != others[0])


FAULTS = (NetworkCorruption, NetworkDuplicate)
