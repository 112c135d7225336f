"""What one attempt met at its provider, as far as the provider can tell."""

from __future__ import annotations

from enum import StrEnum

from harness.record.provider import Exchange


class Trouble(StrEnum):
    """How an attempt came out for its caller."""

    NONE = "served"
    RETRYABLE = "refused for now"  # 408, 409, 429, 5xx, or the connection ended before any answer
    FINAL = "refused for good"  # asking again cannot help
    HANGING = "left hanging"  # the provider fell silent and never came back
    TRUNCATED = "a truncated stream"  # ended in order, yet without a finish reason
    MALFORMED = "a malformed stream"  # with events that are no valid JSON
    UNUSABLE = "an unusable answer"  # a body, or a stream's end, that no client can take for an answer
    LEFT = "left by the caller"  # who hung up on an answer that was under way
    OPEN = "not over yet"


PERMANENT_FAULTS = frozenset({"insufficient_quota", "spend_limit"})
PERMANENT_CODES = frozenset({"insufficient_quota", "enforced_spend_limit_reached"})
HANGING_FAULTS = frozenset({"connection_hang", "stream_stall"})
TRUNCATING_FAULTS = frozenset({"stream_no_finish", "stream_cut_mid_event"})
MALFORMING_FAULTS = frozenset({"stream_bad_json", "stream_empty_data", "stream_invalid_utf8"})
ERRORS_IN_STREAM = frozenset({"stream_error", "stream_error_event"})
UNUSABLE_FAULTS = frozenset(
    {
        "empty_body", "truncated_json", "invalid_json", "wrong_content_type", "missing_field", "null_content", "short_body", "error_in_ok",
        "embedding_wrong_dimension", "embedding_zero", "embedding_nan", "embedding_count_mismatch", "embedding_order_mismatch",
        "embedding_format_mismatch", "missing_result",
    }
)  # fmt: skip
_NEITHER = {"disconnected": Trouble.LEFT, "open": Trouble.OPEN}  # neither served nor refused
_REPEATABLE_STATUS = frozenset({408, 409, 429})


def trouble(attempt: Exchange) -> Trouble:
    """The first that fits: what the provider refused, kept waiting, broke off, or damaged."""
    if attempt.status >= 400:
        return Trouble.FINAL if is_final(attempt) else Trouble.RETRYABLE
    types = attempt.fault_types
    if attempt.ending == "hang" or (attempt.ending != "complete" and types & HANGING_FAULTS):
        return Trouble.HANGING
    if attempt.ending in _NEITHER:
        return _NEITHER[attempt.ending]
    if attempt.status == 0:
        return Trouble.RETRYABLE
    return _of_answer(attempt)


def _of_answer(attempt: Exchange) -> Trouble:
    """Of one that was answered with success, at least at first."""
    types = attempt.fault_types
    if types & TRUNCATING_FAULTS:
        return Trouble.TRUNCATED
    if attempt.ending != "complete" or types & (UNUSABLE_FAULTS | ERRORS_IN_STREAM):
        return Trouble.UNUSABLE
    return Trouble.MALFORMED if types & MALFORMING_FAULTS else Trouble.NONE


def is_final(attempt: Exchange) -> bool:
    """Does this error say that asking again cannot help? What the provider says of it goes first (`x-should-retry`)."""
    if attempt.should_retry is not None:
        return not attempt.should_retry
    if attempt.fault_types & PERMANENT_FAULTS or attempt.error in PERMANENT_CODES:
        return True
    return 400 <= attempt.status < 500 and attempt.status not in _REPEATABLE_STATUS
