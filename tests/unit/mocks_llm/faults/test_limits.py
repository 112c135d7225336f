"""Limits that are kept honestly."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocks.faults.table import FaultError
from mocks.llm.answer import CHAT, EMBEDDINGS, MESSAGES, RESPONSES
from mocks.llm.dialects.errors import anthropic_type
from tests.unit.mocks_llm.faults.answering import Asked, Meetings, meet


def test_the_bucket_refuses_with_the_providers_own_words() -> None:
    meetings = Meetings({"type": "rate_limited", "requests_per_s": 0.5, "burst": 2})
    plans = [meetings.meet().plan for _ in range(3)]
    assert [plan.headers for plan in plans] == [
        {"x-ratelimit-limit-requests": "30", "x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "2s"},
        {"x-ratelimit-limit-requests": "30", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "4s"},
        {"x-ratelimit-limit-requests": "30", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "4s"},
    ]
    error = plans[2].error
    assert [plans[0].error, plans[1].error] == [None, None]
    assert error is not None
    assert (error.status, error.type, error.param, error.code) == (429, "requests", None, "rate_limit_exceeded")
    assert error.headers == {"retry-after": "2", "retry-after-ms": "2000"}
    assert error.message.startswith("Rate limit reached for m in organization org-gauntlet on requests per min (RPM): Limit 30, Used ")
    assert error.message.endswith(
        "Requested 1. Please try again in 2s. Visit https://platform.openai.com/account/rate-limits to learn more."
    )


def test_a_limit_that_others_have_used_up_admits_nothing_however_long_one_waits() -> None:
    meetings = Meetings({"type": "rate_limited", "requests_per_s": 1, "burst": 5, "spent": True})
    errors = []
    for _ in range(3):
        errors.append(meetings.meet().plan.error)
        meetings.now_s += 100
    assert [error and (error.status, error.headers["retry-after"]) for error in errors] == [(429, "1")] * 3


def test_tokens_are_a_quota_of_their_own() -> None:
    """A call wants 160 tokens; 200 are there, and 100 a second."""
    meetings = Meetings({"type": "rate_limited", "requests_per_s": 100, "burst": 10, "tokens_per_s": 100, "token_burst": 200})
    first, second = meetings.meet().plan, meetings.meet().plan
    assert first.error is None
    assert (first.headers["x-ratelimit-limit-tokens"], first.headers["x-ratelimit-remaining-tokens"]) == ("6000", "40")
    assert second.error is not None
    assert (second.error.type, second.error.headers) == ("tokens", {"retry-after": "2", "retry-after-ms": "1200"})
    assert second.headers["x-ratelimit-remaining-requests"] == "9", "what is refused for its tokens takes no request"
    assert "on tokens per min (TPM): Limit 6000, " in second.error.message
    assert "Requested 160. Please try again in 2s." in second.error.message


def test_more_tokens_than_there_ever_are_is_no_matter_of_waiting() -> None:
    error = meet({"type": "rate_limited", "requests_per_s": 1, "tokens_per_s": 10, "token_burst": 100}).plan.error
    assert error is not None
    assert (error.status, error.code, error.headers) == (429, "rate_limit_exceeded", {})
    assert error.message.startswith(
        "Request too large for m in organization org-gauntlet on tokens per min (TPM): Limit 600, Requested 160."
    )


def test_azure_counts_in_whole_seconds() -> None:
    meetings = Meetings({"type": "rate_limited", "requests_per_s": 0.5})
    plans = [meetings.meet(Asked(dialect="azure")).plan for _ in range(2)]
    assert plans[0].headers == {
        "x-ratelimit-limit-requests": "30",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "2",
    }
    assert plans[1].error is not None
    assert plans[1].error.headers == {"retry-after": "2", "retry-after-ms": "2000"}
    assert "have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 2 seconds." in plans[1].error.message


def test_anthropic_names_headers_its_own_way() -> None:
    meetings = Meetings({"type": "rate_limited", "requests_per_s": 0.5})
    plans = [meetings.meet(Asked(MESSAGES)).plan for _ in range(2)]
    reset = plans[0].headers.pop("anthropic-ratelimit-requests-reset")
    assert plans[0].headers == {"anthropic-ratelimit-requests-limit": "30", "anthropic-ratelimit-requests-remaining": "0"}
    assert len(reset) == len("2024-01-01T00:00:00Z")
    assert plans[1].error is not None
    assert (anthropic_type(plans[1].error), plans[1].error.headers) == ("rate_limit_error", {"retry-after": "2"})


def test_every_organization_and_model_has_its_own() -> None:
    meetings = Meetings({"type": "rate_limited", "requests_per_s": 1})
    organizations = [meetings.meet(Asked(facts={"organization": name})).applied for name in ("a", "b", "a")]
    assert organizations == [0, 0, 1]


def test_embeddings_are_counted_where_the_document_says_so() -> None:
    alone = Meetings({"type": "rate_limited", "requests_per_s": 1})
    both = Meetings({"type": "rate_limited", "requests_per_s": 1, "match": {"routes": [EMBEDDINGS]}})
    assert [alone.meet(Asked(EMBEDDINGS)).applied for _ in range(2)] == [0, 0]
    assert [both.meet(Asked(EMBEDDINGS)).applied for _ in range(2)] == [0, 1]


def test_its_burst_is_a_number_and_the_time_shape_an_object() -> None:
    """They are called alike, and cannot be in one document."""
    meetings = Meetings({"type": "rate_limited", "requests_per_s": 0.001, "burst": {"interval_s": 10, "duration_s": 2}})
    hits = []
    for moment_s in (0, 0.5, 3, 10.5):
        meetings.now_s = 1_000 + moment_s
        hits.append(meetings.meet().plan.error is not None)
    assert hits == [False, True, False, True]


@given(
    rate=st.floats(0.01, 50),
    burst=st.integers(1, 10),
    tokens=st.none() | st.floats(1, 500),
    gaps_s=st.lists(st.floats(0, 3), min_size=1, max_size=40),
)
@settings(deadline=None, max_examples=60)
def test_the_bucket_is_honest(rate: float, burst: int, tokens: float | None, gaps_s: list[float]) -> None:
    """Who waits as long as it was told is admitted; who comes a tenth of it earlier is not; nobody gets more than the quota."""
    limits: dict[str, Any] = {} if tokens is None else {"tokens_per_s": tokens, "token_burst": 400}
    meetings = Meetings({"type": "rate_limited", "requests_per_s": rate, "burst": burst, **limits})
    begun_s = meetings.now_s
    admitted = 0
    for gap_s in gaps_s:
        meetings.now_s += gap_s
        error = meetings.meet().plan.error
        if error is not None:
            wait_s = int(error.headers["retry-after-ms"]) / 1_000
            assert int(error.headers["retry-after"]) == math.ceil(wait_s - 1e-9) or wait_s < 1e-3
            if wait_s > 0.02:
                asked_s = meetings.now_s
                meetings.now_s = asked_s + 0.9 * wait_s - 0.001
                assert meetings.meet().plan.error is not None
                meetings.now_s = asked_s
            meetings.now_s += wait_s
            assert meetings.meet().plan.error is None
        admitted += 1
    passed_s = meetings.now_s - begun_s
    assert admitted <= burst + rate * passed_s + 1e-3
    assert tokens is None or 160 * admitted <= 400 + tokens * passed_s + 1


def test_a_burst_of_tokens_needs_a_rate() -> None:
    with pytest.raises(FaultError, match="token_burst needs tokens_per_s: write both, or neither"):
        Meetings({"type": "rate_limited", "requests_per_s": 1, "token_burst": 10})


def test_a_call_that_is_too_large_never_succeeds() -> None:
    meetings = Meetings({"type": "request_too_large", "limit": 159})
    error = meetings.meet().plan.error
    assert error is not None
    assert (error.status, error.type, error.code, error.headers) == (429, "tokens", "rate_limit_exceeded", {})
    assert "(TPM): Limit 159, Requested 160. The input or output tokens must be reduced" in error.message
    assert Meetings({"type": "request_too_large", "limit": 160}).meet().plan.error is None


CHAT_LONG = (
    "This model's maximum context length is 99 tokens. However, your messages resulted in 100 tokens. "
    "Please reduce the length of the messages."
)
EMBEDDINGS_LONG = (
    "This model's maximum context length is 99 tokens, however you requested 100 tokens (100 in your prompt; 0 for the completion). "
    "Please reduce your prompt; or completion length."
)
RESPONSES_LONG = "Your input exceeds the context window of this model. Please adjust your input and try again."


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (CHAT, (400, CHAT_LONG, "invalid_request_error", "messages", "context_length_exceeded")),
        (RESPONSES, (400, RESPONSES_LONG, "invalid_request_error", "input", "context_length_exceeded")),
        (MESSAGES, (400, "prompt is too long: 100 tokens > 99 maximum", "invalid_request_error", None, None)),
        (EMBEDDINGS, (400, EMBEDDINGS_LONG, "invalid_request_error", None, None)),
    ],
)
def test_a_prompt_that_is_too_long(route: str, expected: tuple[Any, ...]) -> None:
    error = meet({"type": "context_length_exceeded", "limit": 99}, Asked(route)).plan.error
    assert error is not None
    assert (error.status, error.message, error.type, error.param, error.code) == expected
    assert meet({"type": "context_length_exceeded", "limit": 100}, Asked(route)).applied == 0


def test_a_batch_that_is_too_large() -> None:
    error = meet({"type": "embedding_batch_limit", "most": 2}, Asked(EMBEDDINGS)).plan.error
    assert error is not None
    assert (error.status, error.param, error.code) == (400, "input", "array_above_max_length")
    assert (
        error.message == "Invalid 'input': array too long. Expected an array with maximum length 2, but got an array with length 3 instead."
    )
    assert meet({"type": "embedding_batch_limit", "most": 3}, Asked(EMBEDDINGS)).applied == 0
    azure = meet({"type": "embedding_batch_limit", "most": 2}, Asked(EMBEDDINGS, dialect="azure")).plan.error
    assert azure is not None
    assert azure.message == "Too many inputs. The max number of inputs is 2."
