"""Stretches of the run's time axis that scorers look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.record.history import History
from harness.record.views import FaultTruth, PhaseSpan

NS_PER_S = 1_000_000_000
GRACE_S = 15.0  # after a fault is healed, what is claimed may still be about it
BLOCK_S = 5.0  # the unit of resampling: requests of the same seconds share their fate


@dataclass(frozen=True, slots=True)
class Span:
    """[start_ns, end_ns)."""

    start_ns: int
    end_ns: int

    def holds(self, t_ns: int) -> bool:
        return self.start_ns <= t_ns < self.end_ns

    @property
    def length_s(self) -> float:
        return (self.end_ns - self.start_ns) / NS_PER_S


def seconds(start_ns: int, end_ns: int) -> float:
    """The distance of two times, to the millisecond: finer is noise of the clocks' readers."""
    return round((end_ns - start_ns) / NS_PER_S, 3)


def of_phase(history: History, phase: PhaseSpan) -> Span:
    """The phase, or what the record holds of it."""
    return Span(phase.start_ns, phase.end_ns if phase.end_ns is not None else history.end_ns + 1)


def of_claims(history: History, fault: FaultTruth) -> Span | None:
    """[intended, healed + grace]: when a claim can be about the fault, or to the record's end if it never healed. None without an onset.

    From `intended` on, because an injection may bite some time before it is over, and whoever sees it then is right.
    """
    if fault.onset_ns is None:
        return None
    end_ns = fault.healed_ns + round(GRACE_S * NS_PER_S) if fault.healed_ns is not None else history.end_ns
    return Span(began(fault, fault.onset_ns), end_ns + 1)


def began(fault: FaultTruth, onset_ns: int) -> int:
    """When the harness began to act on what it broke by `onset_ns`: an engine's kill, for one, is seen before it returns."""
    return onset_ns if fault.intended_ns is None else min(onset_ns, fault.intended_ns)


def after_onset(onset_ns: int, t_ns: int) -> float:
    """Seconds after the onset; 0 for what came while the fault was being injected."""
    return max(0.0, seconds(onset_ns, t_ns))


def active(fault: FaultTruth, history: History) -> Span | None:
    """[onset, heal intended): when users are on their own with the fault. To the end of the record where no heal was intended."""
    if fault.onset_ns is None:
        return None
    return Span(fault.onset_ns, fault.heal_intended_ns if fault.heal_intended_ns is not None else history.end_ns + 1)


def blocks(span: Span, block_s: float = BLOCK_S) -> Sequence[Span]:
    """The span cut into blocks; a last piece shorter than half a block belongs to the one before."""
    step_ns = round(block_s * NS_PER_S)
    count = max(1, (span.end_ns - span.start_ns + step_ns // 2) // step_ns)
    borders = [span.start_ns + i * step_ns for i in range(count)]
    return [Span(a, b) for a, b in zip(borders, [*borders[1:], span.end_ns], strict=True)]


def sliding(span: Span, length_s: float, step_s: float) -> Iterator[Span]:
    """Every window of that length wholly inside the span, from its start, a step apart."""
    length_ns, step_ns = round(length_s * NS_PER_S), round(step_s * NS_PER_S)
    start_ns = span.start_ns
    while start_ns + length_ns <= span.end_ns:
        yield Span(start_ns, start_ns + length_ns)
        start_ns += step_ns
