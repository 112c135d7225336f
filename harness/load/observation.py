"""One request while it happens. It ends as a row of `harness.record.requests.REQUEST`."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.record.requests import Finish, Outcome

DROPPED_BY_TARGET = 0
DROPPED_BY_GENERATOR = 1
_MOST_ATTEMPTS = 0xFFFF


@dataclass(slots=True)
class Observation:
    """What is known so far; all times in monotonic nanoseconds, 0 for what has not happened. `size` is in bytes."""

    seq: int
    journey: int
    intended_ns: int
    question: int = -1
    outcome: Outcome = Outcome.ERROR
    finish: Finish = Finish.NONE
    drop_cause: int = 0
    status: int = 0
    attempts: int = 0
    start_ns: int = 0
    first_ns: int = 0
    last_ns: int = 0
    end_ns: int = 0
    max_gap_ns: int = 0
    gaps_ns: list[int] = field(default_factory=list)
    chunks: int = 0
    tokens: int = 0
    canary: int = -1
    refused: int = -1
    degraded: int = -1
    preferred: int = -1
    sources: list[int] = field(default_factory=list)
    citations: list[int] = field(default_factory=list)
    side: int = 0
    size: int = 0

    @property
    def latency_s(self) -> float:
        """End minus intended start."""
        return (self.end_ns - self.intended_ns) / 1e9

    def content_at(self, t_ns: int) -> None:
        """A content chunk (non-empty text) arrived."""
        if self.first_ns:
            gap_ns = t_ns - self.last_ns
            self.max_gap_ns = max(self.max_gap_ns, gap_ns)
            self.gaps_ns.append(gap_ns)
        else:
            self.first_ns = t_ns
        self.last_ns = t_ns
        self.chunks += 1

    def row(self) -> tuple[int, ...]:
        """The fields of REQUEST up to `sources`, in their order."""
        return (
            self.seq, self.journey, self.outcome, self.finish, self.drop_cause, self.status,
            self.attempts if self.attempts < _MOST_ATTEMPTS else _MOST_ATTEMPTS,
            self.intended_ns, self.start_ns, self.first_ns, self.last_ns, self.end_ns, self.max_gap_ns,
            self.chunks, self.tokens, self.question, self.canary, self.refused, self.degraded, self.preferred,
        )  # fmt: skip
