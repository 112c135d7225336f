"""Requests that tell how many of them have been read, and how many a piece of work is going to read.

Each scorer goes over the requests as often as it needs to, which depends on the scenario and on what happened. So the work is done on a
few blocks of the record first, spread over all of it, which takes a hundredth of the time and counts what it asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from harness.record.blocks import OnDisk
from harness.record.history import History
from harness.record.pieces import Interval, Requests, Rows, Source
from harness.record.progress import UNTOLD, Progress

LEAST_ROWS = 2_000_000  # fewer are judged in about two seconds: an estimate is not worth its time
SAMPLE_BLOCKS = 64


@dataclass(frozen=True, slots=True)
class Watched:
    """A `Source` that tells of each piece that is read."""

    whole: Source
    progress: Progress

    def count(self, interval: Interval) -> int:
        return self.whole.count(interval)

    def pieces(self, interval: Interval) -> Iterator[Rows]:
        for piece in self.whole.pieces(interval):
            self.progress.advance(len(piece))
            yield piece


@dataclass(slots=True)
class _Sampled:
    """A `Source` of a few blocks, which notes how many rows the whole would have given."""

    whole: OnDisk
    few: OnDisk
    asked: int = 0

    def count(self, interval: Interval) -> int:
        return self.whole.count(interval)  # with fewer than were sent, the record would be taken for one that lost some

    def pieces(self, interval: Interval) -> Iterator[Rows]:
        self.asked += self.whole.count(interval)
        return self.few.pieces(interval)


def begin(stage: str, work: Callable[..., object], progress: Progress, *histories: History) -> tuple[History, ...]:
    """Begin a stage that does `work` on these histories, in rows read. Returns what to do it on: the same, but for who is told."""
    if progress is UNTOLD:
        return histories
    progress.begin(stage, rows_asked(work, *histories))
    return tuple(_with(history, Watched(_whole(history), progress)) for history in histories)


def rows_asked(work: Callable[..., object], *histories: History) -> int:
    """About how many rows `work` reads of records on disk; 0 where that is not worth knowing, or cannot be known."""
    wholes = [whole for history in histories if isinstance(whole := _whole(history), OnDisk)]
    if len(wholes) < len(histories) or sum(whole.count(None) for whole in wholes) < LEAST_ROWS:
        return 0
    sampled = [_Sampled(whole, whole.sample(SAMPLE_BLOCKS)) for whole in wholes]
    few = [history.read_through(Requests(source), bare=True) for history, source in zip(histories, sampled, strict=True)]
    try:
        work(*few)
    except Exception:  # noqa: BLE001  # whatever is wrong with a record shows in the work itself, and no estimate may stand in its way
        return 0
    return sum(source.asked for source in sampled)


def _whole(history: History) -> Source:
    source = history.requests.source
    return source.whole if isinstance(source, Watched) else source


def _with(history: History, source: Source) -> History:
    return history.read_through(replace(history.requests, source=source))
