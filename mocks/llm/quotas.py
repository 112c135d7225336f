"""Rates that are kept honestly, and limits of one request, in each provider's words and headers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from mocks.common.buckets import TokenBucket, spell_duration
from mocks.llm.answer import EMBEDDINGS, MESSAGES, RESPONSES
from mocks.llm.errors import ProviderError
from mocks.llm.plan import Facts

ORGANIZATION = "org-gauntlet"
"""Whose limits they are where accounts have none of their own."""
MINUTE_S = 60.0

_LIMITS_PAGE = "Visit https://platform.openai.com/account/rate-limits to learn more."


Unit = Literal["requests", "tokens"]


@dataclass(frozen=True, slots=True)
class Quota:
    """One bucket as the provider speaks of it."""

    unit: Unit
    bucket: TokenBucket

    @property
    def limit(self) -> int:
        """Units per minute."""
        return max(1, round(self.bucket.per_s * MINUTE_S))

    def wanted(self, facts: Facts) -> int:
        """What the call takes from it."""
        return facts.wanted_tokens if self.unit == "tokens" else 1

    def headers(self, dialect: str, now_s: float) -> dict[str, str]:
        """Limit, what is left and when all of it is back, in the dialect's spelling."""
        left, reset_s = self.bucket.remaining(now_s), self.bucket.reset_s(now_s)
        if dialect == "anthropic":
            back = (datetime.now(UTC) + timedelta(seconds=math.ceil(reset_s))).strftime("%Y-%m-%dT%H:%M:%SZ")
            name = f"anthropic-ratelimit-{self.unit}"
            return {f"{name}-limit": str(self.limit), f"{name}-remaining": str(left), f"{name}-reset": back}
        reset = str(math.ceil(reset_s)) if dialect == "azure" else spell_duration(reset_s)
        return {
            f"x-ratelimit-limit-{self.unit}": str(self.limit),
            f"x-ratelimit-remaining-{self.unit}": str(left),
            f"x-ratelimit-reset-{self.unit}": reset,
        }

    def refusal(self, facts: Facts, now_s: float) -> ProviderError:
        """429, which says when the call would be admitted; no Retry-After where it is more than the bucket ever holds."""
        wanted = self.wanted(facts)
        wait_s = self.bucket.wait_s(wanted, now_s)
        if math.isinf(wait_s):
            return too_large(facts, self.limit, wanted)
        headers = {"retry-after": str(math.ceil(wait_s))}
        if facts.dialect == "anthropic":
            return ProviderError(429, _anthropic_words(self.unit, self.limit), headers=headers)
        headers["retry-after-ms"] = str(math.ceil(wait_s * 1_000))
        if facts.dialect == "azure":
            return ProviderError(429, _azure_words(facts, self.unit, math.ceil(wait_s)), headers=headers)
        used = max(0, round(self.bucket.burst) - self.bucket.remaining(now_s))
        message = (
            f"Rate limit reached for {facts.model} in organization {facts.organization or ORGANIZATION} on {self.unit} per min "
            f"({'TPM' if self.unit == 'tokens' else 'RPM'}): Limit {self.limit}, Used {used}, Requested {wanted}. "
            f"Please try again in {spell_duration(wait_s)}. {_LIMITS_PAGE}"
        )
        return ProviderError(429, message, self.unit, None, "rate_limit_exceeded", headers)


def admit(quotas: Sequence[Quota], facts: Facts, now_s: float) -> tuple[dict[str, str], ProviderError | None]:
    """Take what the call wants from all quotas, or from none; the headers that tell what is left, and the refusal of the worst."""
    refused = max(quotas, key=lambda quota: quota.bucket.wait_s(quota.wanted(facts), now_s), default=None)
    error = None
    if refused is not None and refused.bucket.wait_s(refused.wanted(facts), now_s) > 0:
        error = refused.refusal(facts, now_s)
    else:
        for quota in quotas:
            quota.bucket.take(quota.wanted(facts), now_s)
    headers: dict[str, str] = {}
    for quota in quotas:
        headers.update(quota.headers(facts.dialect, now_s))
    return headers, error


def too_large(facts: Facts, limit: int, wanted: int) -> ProviderError:
    """One request that exceeds the limit by itself: it never succeeds, and no Retry-After says that it would."""
    if facts.dialect == "anthropic":
        return ProviderError(429, _anthropic_words("tokens", limit))
    message = (
        f"Request too large for {facts.model} in organization {facts.organization or ORGANIZATION} on tokens per min (TPM): "
        f"Limit {limit}, Requested {wanted}. The input or output tokens must be reduced in order to run successfully. {_LIMITS_PAGE}"
    )
    return ProviderError(429, message, "tokens", None, "rate_limit_exceeded")


def quota_spent(facts: Facts) -> ProviderError:
    """The month's quota, or the credit, is spent: no waiting helps, and nothing says that it would."""
    if facts.dialect == "anthropic":
        message = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."
        return ProviderError(400, message)
    message = (
        "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: "
        "https://platform.openai.com/docs/guides/error-codes/api-errors."
    )
    return ProviderError(429, message, "insufficient_quota", None, "insufficient_quota")


def too_long(facts: Facts, limit: int) -> ProviderError:
    """The prompt, and what was asked for beside it, is more than the model's context of `limit` tokens."""
    count = facts.prompt_tokens
    if facts.dialect == "anthropic" or facts.route == MESSAGES:
        return ProviderError(400, f"prompt is too long: {count} tokens > {limit} maximum")
    if facts.route == RESPONSES:
        message = "Your input exceeds the context window of this model. Please adjust your input and try again."
        return ProviderError(400, message, param="input", code="context_length_exceeded")
    if facts.route == EMBEDDINGS:
        message = (
            f"This model's maximum context length is {limit} tokens, however you requested {count} tokens ({count} in your prompt; 0 for "
            "the completion). Please reduce your prompt; or completion length."
        )
        return ProviderError(400, message)
    message = (
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in {count} tokens. "
        "Please reduce the length of the messages."
    )
    return ProviderError(400, message, param="messages", code="context_length_exceeded")


def _azure_words(facts: Facts, unit: str, wait_s: int) -> str:
    what = "Embeddings_Create" if facts.route == EMBEDDINGS else "ChatCompletions_Create"
    return (
        f"Requests to the {what} Operation under Azure OpenAI API have exceeded {'token' if unit == 'tokens' else 'call'} rate limit of "
        f"your current OpenAI S0 pricing tier. Please retry after {wait_s} seconds. Please go here: https://aka.ms/oai/quotaincrease if "
        "you would like to further increase the default rate limit."
    )


def _anthropic_words(unit: str, limit: int) -> str:
    what = "input tokens" if unit == "tokens" else unit
    return (
        f"This request would exceed your organization's rate limit of {limit:,} {what} per minute. For details, refer to: "
        "https://docs.claude.com/en/api/rate-limits. You can see the response headers for current usage. Please reduce the prompt length "
        "or the maximum tokens requested, or try again later. You may also contact sales at https://claude.com/contact-sales to discuss "
        "your options for a rate limit increase."
    )
