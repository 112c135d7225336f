"""Limits that are kept honestly: requests and tokens in time, and what one request may hold."""

from dataclasses import dataclass, field
from random import Random
from typing import Annotated, ClassVar

from mocks.common.buckets import TokenBucket
from mocks.faults.base import OfAnyCall
from mocks.faults.documents import Param
from mocks.llm.errors import ProviderError
from mocks.llm.faults.registry import FAULTS, ONLY_GENERATION, OfAnswers, OfEmbeddings
from mocks.llm.plan import Facts, Plan
from mocks.llm.quotas import MINUTE_S, Quota, admit, too_large, too_long


@FAULTS.register("rate_limited", match=ONLY_GENERATION)
@dataclass
class RateLimited(OfAnyCall):
    """Honest token buckets: a refusal says when the call would be admitted, and who waits that long is.

    Limits are kept per organization and model, as the provider keeps them.
    """

    summary: ClassVar[str] = (
        "429 to what exceeds a rate of requests or tokens, with honest Retry-After; every answer tells limit, remainder and reset."
    )
    requests_per_s: Annotated[float, Param("requests admitted on average", "requests/s", above=0, example=2.0)]
    burst: Annotated[float, Param("requests admitted at once", "requests", least=1)] = 1.0
    tokens_per_s: Annotated[
        float | None, Param("tokens admitted on average: prompt and `max_tokens`; null: no limit", "tokens/s", above=0)
    ] = None
    token_burst: Annotated[float | None, Param("tokens admitted at once; null: a minute's worth", "tokens", least=1)] = None
    spent: Annotated[bool, Param("others of the organization use up all of it: no call is admitted")] = False
    _quotas: dict[tuple[str | None, str], list[Quota]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.token_burst is not None and self.tokens_per_s is None:
            raise ValueError("token_burst needs tokens_per_s: write both, or neither")

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - nothing is drawn
        """Admit the call and say what is left, or refuse it and say how long to wait."""
        quotas = self._of(plan.facts)
        for quota in quotas if self.spent else ():
            quota.bucket.drain(now_s)
        headers, plan.error = admit(quotas, plan.facts, now_s)
        plan.headers.update(headers)
        return plan.error is not None

    def _of(self, facts: Facts) -> list[Quota]:
        found = self._quotas.get((facts.organization, facts.model))
        if found is None:
            found = [Quota("requests", TokenBucket(self.requests_per_s, self.burst))]
            if self.tokens_per_s is not None:
                found.append(Quota("tokens", TokenBucket(self.tokens_per_s, self.token_burst or self.tokens_per_s * MINUTE_S)))
            self._quotas[facts.organization, facts.model] = found
        return found


@FAULTS.register("request_too_large", match=ONLY_GENERATION)
@dataclass
class RequestTooLarge(OfAnyCall):
    """The status is that of a rate limit, but no waiting helps."""

    summary: ClassVar[str] = "429 to a call of more tokens than a minute's limit: looks like a rate limit, never succeeds."
    limit: Annotated[int, Param("tokens per minute; prompt and `max_tokens` of one call count", "tokens", least=1, example=50)]

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Refuse what is larger."""
        wanted = plan.facts.wanted_tokens
        if wanted <= self.limit:
            return False
        plan.error = too_large(plan.facts, self.limit, wanted)
        return True


@FAULTS.register("context_length_exceeded")
@dataclass
class ContextLengthExceeded(OfAnswers):
    """What a client does with a prompt that grew too long: repeating it is useless."""

    summary: ClassVar[str] = "400 `context_length_exceeded` to a prompt of more than `limit` tokens."
    limit: Annotated[int, Param("the model's context", "tokens", least=1, example=50)]

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Refuse what is longer."""
        if plan.facts.prompt_tokens <= self.limit:
            return False
        plan.error = too_long(plan.facts, self.limit)
        return True


@FAULTS.register("embedding_batch_limit")
@dataclass
class EmbeddingBatchLimit(OfEmbeddings):
    """A server that takes fewer inputs at once than the client's library sends."""

    summary: ClassVar[str] = "400 to more than `most` inputs at once."
    most: Annotated[int, Param("inputs taken at once", "inputs", least=1)] = 16

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Refuse larger batches."""
        count = plan.facts.inputs
        if count <= self.most:
            return False
        if plan.facts.dialect == "azure":
            message = f"Too many inputs. The max number of inputs is {self.most}."
            plan.error = ProviderError(400, message)
        else:
            message = (
                f"Invalid 'input': array too long. Expected an array with maximum length {self.most}, but got an array with length {count} "
                "instead."
            )
            plan.error = ProviderError(400, message, param="input", code="array_above_max_length")
        return True
