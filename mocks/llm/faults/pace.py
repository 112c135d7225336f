"""How fast an answer comes: the right one, but late."""

from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar

from mocks.faults.base import OfAnyCall
from mocks.faults.documents import Param
from mocks.llm.faults.registry import FAULTS, OfEmbeddings, OfGeneration
from mocks.llm.plan import Plan


@FAULTS.register("slow_first_token", of_pace=True)
@dataclass(kw_only=True)
class SlowFirstToken(OfGeneration):
    """The model thinks for long before it says anything."""

    summary: ClassVar[str] = "The first token comes `ttft_s` after the request; the tokens after it keep their pace."
    ttft_s: Annotated[float, Param("from the request to the first token", "s", above=0, example=4.0)]

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Move the first token."""
        plan.ttft_s = self.ttft_s
        return True


@FAULTS.register("slow_tokens", of_pace=True)
@dataclass(kw_only=True)
class SlowTokens(OfGeneration):
    """Each token is late, none so late that a timeout between two of them would fire."""

    summary: ClassVar[str] = "`itl_s` between two tokens."
    itl_s: Annotated[float, Param("from one token to the next", "s", above=0, example=0.5)]

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Stretch the answer."""
        plan.itl_s = self.itl_s
        return True


@FAULTS.register("jittered_tokens", of_pace=True)
@dataclass(kw_only=True)
class JitteredTokens(OfGeneration):
    """The mean pace stays, its evenness goes."""

    summary: ClassVar[str] = "Gaps between tokens are drawn for each: of the pace, evenly from (1 - `spread`) to (1 + `spread`) times."
    spread: Annotated[float, Param("how far a gap may be from the pace", "ratio", above=0, most=1)] = 0.5

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Draw the gaps as tokens need them; the first token keeps its time."""
        offsets = [0.0]

        def due_s(token: int) -> float:
            while len(offsets) < token:
                offsets.append(offsets[-1] + rng.uniform(1 - self.spread, 1 + self.spread))
            return plan.ttft_s + plan.itl_s * offsets[token - 1]

        plan.pace = due_s
        return True


@FAULTS.register("brownout", of_pace=True)
@dataclass(kw_only=True)
class Brownout(OfAnyCall):
    """The busier, the slower: what retries make worse."""

    summary: ClassVar[str] = "The first token is late by `per_in_flight_s` for every request in flight."
    per_in_flight_s: Annotated[float, Param("for each request in flight, this one included", "s", above=0)] = 0.05

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Add to the time to the first token."""
        plan.ttft_s += self.per_in_flight_s * plan.facts.in_flight
        return True


@FAULTS.register("embedding_slow_batch", of_pace=True)
@dataclass(kw_only=True)
class EmbeddingSlowBatch(OfEmbeddings):
    """Large batches take long: one timeout does not fit all."""

    summary: ClassVar[str] = "The vectors are late by `per_input_s` for every input."
    per_input_s: Annotated[float, Param("for each input", "s", above=0)] = 0.05

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Add to the time of the answer."""
        plan.ttft_s += self.per_input_s * plan.facts.inputs
        return plan.facts.inputs > 0
