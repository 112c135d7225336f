"""A network on which bytes arrive late: lost and sent again, throttled, in slices; and connections that end late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from pydantic import Field, model_validator

from harness.faults.base import Evidence, FaultError, Parameters
from harness.faults.edge_rules import Direction, Rule, receivers, senders
from harness.faults.network_rules import BURST_BYTES
from harness.faults.network_talk import BY_PACKETS, DIRECT_PATIENCE_S, MEND, TRIES_MAX, Share, TalkFault
from harness.scenario.catalog import ByRules, FaultParameters, FaultSpec
from harness.scenario.model import Duration

RESEND_S = 0.2
"""TCP's least time until a lost segment is sent again."""
PAD_BYTES = 5000
"""Of a question, where bytes are to take their time; servers take heads of 8 KiB."""
CLEARLY, HARDLY = 0.7, 0.3
TRIPS_AFTERWARDS = 10


class LossParameters(FaultParameters):
    """Parameters of `network.loss`."""

    rate: Share = Field(description="of the segments, in the long run", ge=0.02, le=0.5)
    burst: float = Field(
        default=1.0, ge=1.0, le=20.0, description="segments lost in a row, on average (Gilbert-Elliott); 1: each by itself",
        json_schema_extra={"unit": "segments"},
    )  # fmt: skip
    direction: Direction = Field(default="both", description="answers, questions, or both")

    def by_rules(self) -> ByRules:
        return "anywhere" if self.burst == 1.0 else "with netem"  # iptables draws for each packet by itself


class NetworkLoss(TalkFault[LossParameters]):
    """Segments are lost, which TCP makes good 200 ms later, twice that where the repetition is lost as well, and so on."""

    spec = FaultSpec(
        name="network.loss",
        summary="Loses segments, singly or in bursts; TCP sends them again, so that some answers take 200 ms longer, or much longer.",
        kind="network",
        parameters=LossParameters,
        targets=("edge",),
        needs=(),
        either=BY_PACKETS,
        evidence="some of many conversations of the caller take 200 ms longer than those past the fault; gone: none does",
        example="{id: lossy, type: network.loss, target: retrieval->postgres, at: fault, for: 30s, with: {rate: 10%, burst: 3}}",
        recoverable_by=MEND,
    )

    def document(self) -> Mapping[str, Any]:
        wanted = self.parameters
        return {"type": "loss", "rate": wanted.rate, "burst": wanted.burst, "resend_s": RESEND_S, "direction": wanted.direction}

    def rules(self) -> Sequence[Rule]:
        wanted = self.parameters
        if wanted.burst == 1.0:
            return [Rule(end, lambda rules, name, peers: rules.drop(name, peers, wanted.rate)) for end in receivers(wanted.direction)]
        good_to_bad = wanted.rate / (1 - wanted.rate) / wanted.burst  # Gilbert-Elliott: all is lost in the bad state, nothing in the good
        netem = ("loss", "gemodel", f"{100 * good_to_bad:.4f}%", f"{100 / wanted.burst:.4f}%")
        return [Rule(end, lambda rules, name, peers: rules.disturb(name, peers, netem)) for end in senders(wanted.direction)]

    def verify(self) -> Evidence | None:
        talks, slowest_s, direct_s = self._slowest(TRIES_MAX)
        if slowest_s - direct_s < CLEARLY * RESEND_S:
            return None
        return {"slowest_s": slowest_s, "direct_s": direct_s, "conversations": talks, **self.touched()}

    def whole(self) -> Evidence | None:
        talks, slowest_s, direct_s = self._slowest(TRIPS_AFTERWARDS)
        if slowest_s - direct_s > CLEARLY * RESEND_S:
            return None
        return {"slowest_s": slowest_s, "direct_s": direct_s, "conversations": talks}

    def _slowest(self, talks_max: int) -> tuple[int, float, float]:
        """Conversations until a slow one, the seconds of the slowest, and those of one past the fault."""
        ways, ask = self.ways(), self.words().ask()
        direct_s = self.past(ways, ask).answered_s or 0.0
        took_s = list[float]()
        for through in ways.several(ask, DIRECT_PATIENCE_S, talks_max):
            took_s.append(DIRECT_PATIENCE_S if through.answered_s is None else through.answered_s)
            if took_s[-1] - direct_s >= CLEARLY * RESEND_S:
                break
        return len(took_s), max(took_s), direct_s


class _PaddedFault(TalkFault[Parameters]):
    """A fault under which a question takes longer the longer it is."""

    def pad_bytes(self) -> int:
        """How much longer to make it."""
        return PAD_BYTES

    def expected_s(self, question_bytes: int) -> float:
        """How much longer such a question takes, at least."""
        raise NotImplementedError

    def verify(self) -> Evidence | None:
        through_s, direct_s, sent = self._measure()
        if through_s - direct_s < CLEARLY * self.expected_s(sent):
            return None
        return {"through_s": through_s, "direct_s": direct_s, "question_bytes": sent, **self.touched()}

    def whole(self) -> Evidence | None:
        through_s, direct_s, sent = self._measure()
        if through_s - direct_s > HARDLY * self.expected_s(sent):
            return None
        return {"through_s": through_s, "direct_s": direct_s, "question_bytes": sent}

    def _measure(self) -> tuple[float, float, int]:
        """Seconds to the answer for the caller and past the fault, and the bytes of the question."""
        ways, ask = self.ways(), self.words().ask(self.pad_bytes())
        through = ways.through(ask, DIRECT_PATIENCE_S + 2 * self.expected_s(len(ask)))
        if through.answered_s is None:
            raise FaultError(f"no answer on {self.target.text} ({through.end})")
        return through.answered_s, self.past(ways, ask).answered_s or 0.0, len(ask)


class BandwidthParameters(FaultParameters):
    """Parameters of `network.bandwidth`."""

    kbit_per_s: float = Field(
        ge=64, le=2000, json_schema_extra={"unit": "kbit/s"},
        description="in each direction, for all connections of the edge together; by rules, of each instance that sends",
    )  # fmt: skip


class NetworkBandwidth(_PaddedFault[BandwidthParameters]):
    """All connections of the edge share so much, in each direction; what does not fit waits, and then the sender does."""

    spec = FaultSpec(
        name="network.bandwidth",
        summary="Limits what all connections of an edge together pass in each direction.",
        kind="network",
        parameters=BandwidthParameters,
        targets=("edge",),
        needs=(),
        either=BY_PACKETS,
        evidence="a question of 5 kB takes the caller as long as the rate says; gone: as long as past the fault",
        example="{id: thin, type: network.bandwidth, target: query->retrieval, at: fault, for: 30s, with: {kbit_per_s: 256}}",
        recoverable_by=MEND,
    )

    def document(self) -> Mapping[str, Any]:
        return {"type": "bandwidth", "bytes_per_s": self._bytes_per_s, "direction": "both"}

    def expected_s(self, question_bytes: int) -> float:
        at_once = BURST_BYTES if self.means.name == "rules" else 0
        return (question_bytes - at_once) / self._bytes_per_s

    def rules(self) -> Sequence[Rule]:
        kbit_per_s = self.parameters.kbit_per_s
        return [Rule(end, lambda rules, name, peers: rules.limit(name, peers, kbit_per_s)) for end in senders("both")]

    @property
    def _bytes_per_s(self) -> float:
        return self.parameters.kbit_per_s * 125


class SlicerParameters(FaultParameters):
    """Parameters of `network.slicer`."""

    bytes: int = Field(ge=16, le=1024, description="of a slice", json_schema_extra={"unit": "bytes"})
    variation: int = Field(default=0, ge=0, description="slices are so much shorter or longer", json_schema_extra={"unit": "bytes"})
    delay: Duration = Field(description="between two slices", ge=0.001, le=0.1, json_schema_extra={"unit": "duration"})

    @model_validator(mode="after")
    def _variation_is_smaller(self) -> SlicerParameters:
        if self.variation > self.bytes / 2:
            raise ValueError("variation must be at most half of bytes")
        return self


class NetworkSlicer(_PaddedFault[SlicerParameters]):
    """Whatever is sent arrives in small slices, which tests whether a reader takes a piece for the whole."""

    spec = FaultSpec(
        name="network.slicer",
        summary="Cuts what passes on an edge into small slices that arrive one after the other.",
        kind="network",
        parameters=SlicerParameters,
        targets=("edge",),
        needs=("Proxied",),
        evidence="a long question takes as much longer through the proxy as its slices say; gone: as long as past it",
        example="{id: slices, type: network.slicer, target: generation->llm, at: fault, for: 30s, with: {bytes: 64, delay: 10ms}}",
        recoverable_by=MEND,
    )

    def document(self) -> Mapping[str, Any]:
        wanted = self.parameters
        return {
            "type": "slicer", "bytes": wanted.bytes, "variation": wanted.variation, "delay_s": wanted.delay, "direction": "both",
        }  # fmt: skip

    def pad_bytes(self) -> int:
        slices = ceil(0.3 / self.parameters.delay)  # for a look that takes a third of a second
        return min(PAD_BYTES, slices * self.parameters.bytes)

    def expected_s(self, question_bytes: int) -> float:
        longest = self.parameters.bytes + self.parameters.variation
        return (ceil(question_bytes / longest) - 1) * self.parameters.delay


class SlowCloseParameters(FaultParameters):
    """Parameters of `network.slow_close`."""

    delay: Duration = Field(description="until the end of a connection arrives", ge=0.1, le=60.0, json_schema_extra={"unit": "duration"})


class NetworkSlowClose(TalkFault[SlowCloseParameters]):
    """Bytes pass, the end of a connection does not for a while: whoever waits for it waits, and sockets pile up."""

    spec = FaultSpec(
        name="network.slow_close",
        summary="Passes bytes at once, and the end of a connection late.",
        kind="network",
        parameters=SlowCloseParameters,
        targets=("edge",),
        needs=("Proxied",),
        evidence="a conversation ends as much later through the proxy as asked; gone: as one past it",
        example="{id: lingering, type: network.slow_close, target: retrieval->cache, at: fault, for: 30s, with: {delay: 2s}}",
        recoverable_by=MEND,
    )

    def document(self) -> Mapping[str, Any]:
        return {"type": "slow_close", "delay_s": self.parameters.delay, "direction": "downstream"}

    def verify(self) -> Evidence | None:
        through_s, direct_s = self._measure()
        if through_s - direct_s < CLEARLY * self.parameters.delay:
            return None
        return {"through_end_s": through_s, "direct_end_s": direct_s, "asked_s": self.parameters.delay, **self.touched()}

    def whole(self) -> Evidence | None:
        through_s, direct_s = self._measure()
        if through_s - direct_s > HARDLY * self.parameters.delay:
            return None
        return {"through_end_s": through_s, "direct_end_s": direct_s, "asked_s": 0.0}

    def _measure(self) -> tuple[float, float]:
        """Seconds until a conversation has ended, through the proxy and past it."""
        ways, ask = self.ways(), self.words().ask()
        return ways.through(ask, DIRECT_PATIENCE_S + self.parameters.delay).ended_s, self.past(ways, ask).ended_s


FAULTS = (NetworkLoss, NetworkBandwidth, NetworkSlicer, NetworkSlowClose)
