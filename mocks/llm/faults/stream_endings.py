"""Streams that stop early, or never."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Annotated, ClassVar

from mocks.faults.documents import Param
from mocks.llm.answer import RESPONSES
from mocks.llm.faults.edits import StreamRank, edit_stream
from mocks.llm.faults.events import is_past, last_sequence, ping, renumbered, until
from mocks.llm.faults.registry import FAULTS, OfStreams
from mocks.llm.plan import Ending, Facts, Frame, Plan, Stream

AfterTokens = Annotated[
    int | None, Param("how much of the answer is sent before; null, and where the answer is shorter: all of it", "tokens", least=0)
]


@dataclass(kw_only=True)
class _Early(OfStreams):
    """Ends the stream after so many tokens, without a word about the end."""

    ending: ClassVar[Ending]
    after_tokens: AfterTokens = 2

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the stream."""
        edit_stream(plan, self, StreamRank.ENDING, self._edit)
        return True

    def _edit(self, stream: Stream) -> Stream:
        return Stream(until(stream.frames, self.after_tokens), self.ending)


@FAULTS.register("stream_no_finish")
@dataclass(kw_only=True)
class StreamNoFinish(_Early):
    """A silent truncation: HTTP is content, and only the missing finish reason tells."""

    summary: ClassVar[str] = "The stream ends in order, but before the finish reason: part of the answer is missing, and nothing says so."
    ending = "clean"


@FAULTS.register("stream_closed")
@dataclass(kw_only=True)
class StreamClosed(_Early):
    """HTTP can tell that something is missing."""

    summary: ClassVar[str] = "The connection is closed (FIN) in the middle, without the chunk that ends an answer."
    ending = "fin"


@FAULTS.register("stream_reset")
@dataclass(kw_only=True)
class StreamReset(_Early):
    """The connection breaks."""

    summary: ClassVar[str] = "The connection is reset (RST) in the middle."
    ending = "reset"


@FAULTS.register("stream_no_done")
@dataclass(kw_only=True)
class StreamNoDone(OfStreams):
    """The answer is complete, and a client that waits for the mark waits in vain. The Responses API has no such mark."""

    summary: ClassVar[str] = "The stream ends in order after the finish reason, without `[DONE]` (Anthropic: `message_stop`)."

    def concerns(self, plan: Plan) -> bool:
        """Whether the API has such a mark."""
        return super().concerns(plan) and plan.facts.route != RESPONSES

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the stream."""
        edit_stream(plan, self, StreamRank.ENDING, self._edit)
        return True

    def _edit(self, stream: Stream) -> Stream:
        return Stream((frame for frame in stream.frames if frame.kind != "done"), stream.ending)


@FAULTS.register("stream_cut_mid_event")
@dataclass(kw_only=True)
class StreamCutMidEvent(OfStreams):
    """HTTP is content; what was cut off is an event, which clients drop without a word."""

    summary: ClassVar[str] = "The stream ends in order in the middle of an event."
    after_tokens: AfterTokens = 2

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the stream."""
        edit_stream(plan, self, StreamRank.ENDING, lambda stream: Stream(self._cut(stream.frames)))
        return True

    def _cut(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if is_past(frame, self.after_tokens):
                yield frame._replace(data=frame.data[: max(1, len(frame.data) // 2)])
                return
            yield frame


@FAULTS.register("stream_endless")
@dataclass(kw_only=True)
class StreamEndless(OfStreams):
    """A model in a loop, and a token limit that nobody heeds: only the client can end it."""

    summary: ClassVar[str] = "The content is repeated for ever, at the stream's own pace."

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the stream."""
        edit_stream(plan, self, StreamRank.ENDLESS, self._edit)
        return True

    def _edit(self, stream: Stream) -> Stream:
        frames = stream.frames
        if not isinstance(frames, list):  # another fault of this type has made it endless
            return stream
        contents = [frame for frame in frames if frame.kind == "content"]
        return Stream(_repeating(list(until(frames, None)), contents), stream.ending) if contents else stream


def _repeating(first: list[Frame], contents: list[Frame]) -> Iterator[Frame]:
    """The first round, and then the content for ever, token and sequence numbers going on."""
    yield from first
    tokens, numbers = contents[-1].token, last_sequence(contents) - last_sequence(contents[:1]) + 1
    for round_number in count(1):
        for frame in contents:
            yield frame._replace(data=renumbered(frame.data, round_number * numbers), token=frame.token + round_number * tokens)


@FAULTS.register("stream_stall")
@dataclass(kw_only=True)
class StreamStall(OfStreams):
    """A stream that says nothing for a while, or ever again; with pings, a timeout between two bytes never fires."""

    summary: ClassVar[str] = "The stream stops in the middle for `for_s` (or for ever), the connection stays open; pings may go on."
    after_tokens: AfterTokens = 2
    for_s: Annotated[float | None, Param("how long; null: for ever", "s", above=0)] = None
    pings: Annotated[bool, Param("whether keep-alive pings come meanwhile")] = False
    ping_every_s: Annotated[float, Param("how long between two pings", "s", least=0.01)] = 1.0

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the stream."""

        def edit(stream: Stream) -> Stream:
            return Stream(self._stalling(stream.frames, plan.facts), "hang" if self.for_s is None else stream.ending)

        edit_stream(plan, self, StreamRank.ENDING, edit)
        return True

    def _stalling(self, frames: Iterable[Frame], facts: Facts) -> Iterator[Frame]:
        stalled = False
        token = 1
        for frame in frames:
            if not stalled and is_past(frame, self.after_tokens):
                stalled = True
                yield from self._pings(token, facts)
                if self.for_s is None:
                    return
            token = frame.token
            yield frame._replace(late_s=frame.late_s + self.for_s) if stalled and self.for_s is not None else frame

    def _pings(self, token: int, facts: Facts) -> Iterator[Frame]:
        if not self.pings:
            return
        data = ping(facts)
        for n in count(1):
            late_s = n * self.ping_every_s
            if self.for_s is not None and late_s >= self.for_s:
                return
            yield Frame(data, token, "comment", late_s)
