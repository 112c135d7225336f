"""Plays a streamed answer by its plan: every piece leaves when the token that it waits for is due, on an absolute schedule.

Due moments follow from the beginning of the answer alone, never from when the last piece left: however late single wake-ups are, the mean
pace is exact, and what a late one has left behind leaves at once, each piece as a chunk of its own.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from mocks.common.ledger import Ending
from mocks.http.message import Cut, Timer
from mocks.llm.entry import Entry
from mocks.llm.plan import Frame, Plan, Stream
from mocks.llm.vllm import Generations

EVENT_STREAM = "text/event-stream; charset=utf-8"
BATCH = 256
"""So many pieces leave in one turn of the event loop; then the other connections have theirs."""

_SLACK = 1e-6  # of a token: what is due but for float arithmetic is due
_NOTHING, _EVERYTHING = -1, 1 << 62


class Channel(Protocol):
    """What a player needs of a `Reply`."""

    @property
    def congested(self) -> bool: ...
    def on_drained(self, callback: Callable[[], None]) -> None: ...
    def now(self) -> float: ...
    def at(self, moment_s: float, callback: Callable[[], None]) -> Timer: ...
    def begin(self, status: int, headers: Mapping[str, str], content_type: str) -> None: ...
    def write(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def cut(self, how: Cut) -> None: ...
    def hang(self) -> None: ...


class Played(Protocol):
    """The call whose answer is played. `start_s` is when that began (monotonic), `finish_reason` what the client is told at its end."""

    entry: Entry
    series: Generations
    start_s: float
    finish_reason: str

    def headers(self) -> Mapping[str, str]:
        """The headers of the answer, now that it begins."""

    def finish(self, ending: Ending) -> None:
        """The last of it has been said."""

    def failed(self, error: Exception) -> None:
        """A bug of the mock has ended it."""


class Player:
    """Plays one stream."""

    __slots__ = ("_begun", "_call", "_channel", "_ending", "_frame", "_frames", "_noted", "_plan", "_sent", "_wanted_s", "_wrote_s")

    def __init__(self, channel: Channel, call: Played, plan: Plan, stream: Stream) -> None:
        self._channel = channel
        self._call = call
        self._plan = plan
        self._ending = stream.ending
        self._frames: Iterator[Frame] = iter(stream.frames)
        self._frame = next(self._frames, None)
        self._begun = False
        self._sent = self._noted = 0  # tokens
        self._wanted_s = 0.0
        self._wrote_s = 0.0

    def play(self) -> None:
        """Nothing leaves before the first piece is due, and headers leave with it; the client's going ends it all."""
        due_s = self._plan.due_s(1) if self._frame is None else self._due_s(self._frame)
        if due_s <= self._channel.now() - self._call.start_s:
            self._wake()
        else:
            self._wait(due_s)

    def _wait(self, due_s: float) -> None:
        if due_s == math.inf:
            self._call.entry.silent = True
        else:
            self._wanted_s = due_s
            self._channel.at(self._call.start_s + due_s, self._wake)

    def _wake(self) -> None:
        try:
            if self._begun:
                self._advance()
            else:
                self._begin()
        except Exception as error:  # noqa: BLE001 - a bug ends this stream alone, and the call says so
            self._call.failed(error)

    def _begin(self) -> None:
        self._begun = True
        self._call.entry.status = 200
        self._channel.begin(200, {"cache-control": "no-cache", **self._call.headers()}, EVENT_STREAM)
        self._advance()

    def _advance(self) -> None:
        channel = self._channel
        if channel.congested:
            channel.on_drained(self._wake)
            return
        now_s = channel.now()
        if self._write(max(now_s - self._call.start_s, self._wanted_s)):
            self._call.entry.last_sent_s = now_s
        self._note(now_s)
        if self._frame is None:
            self._end()
        else:
            self._wait(self._due_s(self._frame))

    def _write(self, elapsed_s: float) -> bool:
        """Write what is due, but one batch at most; whether any of it said more than a ping does."""
        horizon = self._horizon(elapsed_s)
        write, frames, frame, sent = self._channel.write, self._frames, self._frame, self._sent
        left = BATCH
        pings = 0
        while frame is not None and left:
            data, token, kind, late_s = frame
            if (token > horizon or late_s) and self._due_s(frame) > elapsed_s:
                break
            write(data)
            if kind == "content":
                if token > sent:
                    sent = token
            elif kind == "finish":
                self._call.entry.finish_reason = self._call.finish_reason
            elif kind == "comment":
                pings += 1
            left -= 1
            frame = next(frames, None)
        self._frame = frame
        self._sent = sent
        return BATCH - left > pings

    def _horizon(self, elapsed_s: float) -> int:
        """Tokens up to this one are due for certain; asking each piece costs more."""
        plan = self._plan
        if plan.pace is not None or elapsed_s < plan.ttft_s:
            return _NOTHING
        return _EVERYTHING if plan.itl_s <= 0 else int((elapsed_s - plan.ttft_s) / plan.itl_s + _SLACK) + 1

    def _due_s(self, frame: Frame) -> float:
        return self._plan.due_s(frame.token) + frame.late_s

    def _note(self, now_s: float) -> None:
        """Count what has left: one gap to the tokens before, and none among themselves."""
        count = self._sent - self._noted
        if not count:
            return
        call = self._call
        if self._noted:
            call.series.itl.observe(now_s - self._wrote_s)
        else:
            call.entry.first_token_s = now_s
            call.series.ttft.observe(now_s - call.entry.arrived_s)
        if count > 1:
            call.series.itl.observe(0.0, count - 1)
        call.series.generation_tokens += count
        call.entry.content_sent_tokens = self._noted = self._sent
        self._wrote_s = now_s

    def _end(self) -> None:
        ending = self._ending
        if ending == "clean":
            self._channel.end()
            self._call.finish("complete")
        elif ending == "hang":
            self._channel.hang()
            self._call.entry.silent = True
        else:
            self._channel.cut(ending)
            self._call.finish(ending)
