"""What callers may do wrong, one rule each. A rule tells of every opportunity it saw, so that silence can be told from good behaviour."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from harness.score.check import Status
from harness.score.clients_calls import Attempt, Call, waited_s
from harness.score.clients_trouble import MALFORMING_FAULTS, PERMANENT_FAULTS, Trouble

EARLY_RATIO, EARLY_S = 0.05, 0.05  # a caller that comes back earlier than told by less than the larger of both is on time
LONGEST_TOLD_S = 120.0  # a caller that is told to wait longer may rightly give up (the OpenAI and Anthropic SDKs do)
BACKOFF_S = 0.1  # a shorter pause is none
BURST, BURST_S = 5, 1.0  # more attempts of one call within that time are a storm


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on behaviour is wrong.

    `idle_s`: the longest pause inside a call without a trace, unless the provider told of one; `read_timeout_s`: the longest wait on a
    provider that is silent; `most_attempts` of one call; `amplification`: mean attempts per call that met trouble.
    """

    idle_s: float = 30.0
    read_timeout_s: float = 30.0
    most_attempts: int = 10
    amplification: float = 4.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One opportunity to do wrong. `wrong` says what was done; None where it was done right."""

    attempts: tuple[Attempt, ...]
    wrong: str | None


Rule = Callable[[Call, Limits], Iterator[Seen]]


def retry_after_ignored(call: Call, _limits: Limits) -> Iterator[Seen]:
    """The provider said when to come back, and the next attempt there came earlier."""
    for attempt, following in call.pairs:
        told_s = attempt.row.retry_after_s
        if attempt.trouble is not Trouble.RETRYABLE or not told_s:
            continue
        if following is None:
            yield Seen((attempt,), None)
            continue
        came_s = waited_s(attempt, following)
        early = came_s < told_s - max(EARLY_RATIO * told_s, EARLY_S)
        yield Seen((attempt, following), f"told to wait {told_s:.3g}s, came back after {came_s:.3g}s" if early else None)


def retried_non_retryable(call: Call, _limits: Limits) -> Iterator[Seen]:
    """The provider refused for good, and was asked the same again."""
    for attempt, following in call.pairs:
        if attempt.trouble is Trouble.FINAL:
            again = f"asked again after {_refusal(attempt)}" if following is not None else None
            yield Seen((attempt,) if following is None else (attempt, following), again)


def retry_storm(call: Call, limits: Limits) -> Iterator[Seen]:
    """One call asked too often, or too often within a second."""
    if not call.troubled:
        return
    count = len(call.attempts)
    burst = _most_within(call, BURST_S)
    wrong = None
    if count > limits.most_attempts:
        wrong = f"{count} attempts of one call"
    elif burst > BURST:
        wrong = f"{burst} attempts of one call within {BURST_S:g}s"
    yield Seen(call.attempts, wrong)


def no_backoff(call: Call, _limits: Limits) -> Iterator[Seen]:
    """At least two repetitions, for which the provider had told no pause, and never a pause."""
    pauses = [
        (first, second, waited_s(first, second))
        for first, second in call.pairs
        if second is not None and not first.row.retry_after_s and first.trouble is not Trouble.FINAL
    ]
    if len(pauses) < 2:
        return
    longest_s = max(pause_s for _, _, pause_s in pauses)
    wrong = f"{len(pauses)} repetitions, none after more than {longest_s:.3g}s" if longest_s < BACKOFF_S else None
    yield Seen(tuple(dict.fromkeys(a for first, second, _ in pauses for a in (first, second))), wrong)


def truncated_stream_accepted(call: Call, _limits: Limits) -> Iterator[Seen]:
    """A stream ended without finish reason, and no attempt followed."""
    for attempt in call.attempts:
        if attempt.trouble is Trouble.TRUNCATED:
            left = not call.followed(attempt)
            yield Seen((attempt,), "the stream ended without a finish reason, and no attempt followed" if left else None)


def malformed_chunk_ignored(call: Call, _limits: Limits) -> Iterator[Seen]:
    """A stream held an event that is no valid JSON; it was taken to its end, and no attempt followed."""
    for attempt in call.attempts:
        if attempt.row.stream and attempt.row.fault_types & MALFORMING_FAULTS and attempt.trouble in (Trouble.MALFORMED, Trouble.LEFT):
            ignored = attempt.trouble is Trouble.MALFORMED and not call.followed(attempt)
            yield Seen((attempt,), "the stream was taken to its end, and no attempt followed" if ignored else None)


def no_read_timeout(call: Call, limits: Limits) -> Iterator[Seen]:
    """The provider fell silent, and the caller waited longer than any sensible timeout. One that had no time to show it is not counted."""
    for attempt in call.attempts:
        if attempt.trouble is not Trouble.HANGING:
            continue
        row = attempt.row
        took_s = row.ended_s - row.arrived_s - (row.last_sent_s or 0.0)  # until then it was slow, not silent
        if took_s > limits.read_timeout_s:
            yield Seen((attempt,), f"waited {took_s:.3g}s on an answer that never came, more than {limits.read_timeout_s:g}s")
        elif row.left_s is not None:
            yield Seen((attempt,), None)


def gave_up(call: Call, _limits: Limits) -> Iterator[Seen]:
    """The call ended on a refusal that a later attempt might have overcome."""
    refused = [a for a in call.attempts if a.trouble is Trouble.RETRYABLE and (a.row.retry_after_s or 0.0) <= LONGEST_TOLD_S]
    if refused:
        ended = call.last is refused[-1]
        why = f"no attempt followed after {counted(len(call.attempts), 'attempt')}, the last of which got {_refusal(call.last)}"
        yield Seen((refused[-1],), why if ended else None)


RULES: Mapping[str, tuple[Status, Rule]] = {
    "retry_after_ignored": (Status.FAIL, retry_after_ignored),
    "retried_non_retryable": (Status.FAIL, retried_non_retryable),
    "retry_storm": (Status.FAIL, retry_storm),
    "truncated_stream_accepted": (Status.FAIL, truncated_stream_accepted),
    "no_backoff": (Status.WARN, no_backoff),
    "gave_up": (Status.WARN, gave_up),
    "no_read_timeout": (Status.WARN, no_read_timeout),
    "malformed_chunk_ignored": (Status.WARN, malformed_chunk_ignored),
}
BY_ABSENCE = frozenset({"truncated_stream_accepted", "malformed_chunk_ignored", "gave_up"})
"""Findings that rest on an attempt that did not follow."""
AMPLIFICATION = "retry_amplification"
"""The one finding about all calls of a caller together."""
LEVELS: Mapping[str, Status] = {**{code: level for code, (level, _) in RULES.items()}, AMPLIFICATION: Status.WARN}


def counted(number: int, what: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _refusal(attempt: Attempt) -> str:
    row = attempt.row
    if row.status == 0:
        return f"no answer ({row.ending})"
    why = next(iter(sorted(row.fault_types & PERMANENT_FAULTS)), row.error)
    told = " with x-should-retry: false" if row.should_retry is False else ""
    return f"{row.status}{f' {why}' if why else ''}{told}"


def _most_within(call: Call, window_s: float) -> int:
    """The largest number of attempts that arrived within so long."""
    times_s = [a.row.arrived_s for a in call.attempts]
    return max(bisect_right(times_s, start_s + window_s) - place for place, start_s in enumerate(times_s))
