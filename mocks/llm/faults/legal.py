"""Streams that are unusual but right: a client that fails on them is wrong."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Annotated, ClassVar, Literal

from mocks.faults.documents import Param
from mocks.llm.answer import CHAT, Answer, Usage
from mocks.llm.faults.edits import StreamRank, edit_stream
from mocks.llm.faults.events import payload, sse
from mocks.llm.faults.registry import FAULTS, OfStreams
from mocks.llm.plan import Frame, FrameKind, Plan, Stream

_HALF_APART_S = 0.01  # so that the halves of a code point do not meet in one read of the client


@dataclass(kw_only=True)
class _Reframing(OfStreams):
    """Cuts the bytes of the stream in another way."""

    rank: ClassVar[StreamRank] = StreamRank.PIECES

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the stream."""
        edit_stream(plan, self, self.turn(), self._edit)
        return True

    def turn(self) -> StreamRank:
        """When it is its turn among the edits."""
        return self.rank

    def _edit(self, stream: Stream) -> Stream:
        return Stream(self.reframed(stream.frames), stream.ending)

    def reframed(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames as they leave."""
        raise NotImplementedError


@FAULTS.register("stream_split_code_point")
@dataclass(kw_only=True)
class StreamSplitCodePoint(_Reframing):
    """A chunk of bytes is no text: decoding chunk by chunk fails."""

    summary: ClassVar[str] = "Legal: a character of several bytes is split between two chunks that come 10 ms apart."

    def _edit(self, stream: Stream) -> Stream:
        if isinstance(stream.frames, list) and all(frame.data.isascii() for frame in stream.frames):
            return stream
        return super()._edit(stream)

    def reframed(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Each frame with such a character in two."""
        for frame in frames:
            at = next((i for i, byte in enumerate(frame.data) if byte >= 0xC0), None)
            if at is None or at + 1 == len(frame.data):
                yield frame
            else:
                yield frame._replace(data=frame.data[: at + 1])
                yield frame._replace(data=frame.data[at + 1 :], late_s=frame.late_s + _HALF_APART_S)


@FAULTS.register("stream_crlf")
@dataclass(kw_only=True)
class StreamCrlf(_Reframing):
    """Events may be framed by any of three line ends."""

    summary: ClassVar[str] = "Legal: lines end with CR LF."
    rank = StreamRank.LINES

    def reframed(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Other line ends; JSON has none of its own."""
        return (frame._replace(data=frame.data.replace(b"\n", b"\r\n")) for frame in frames)


@FAULTS.register("stream_chunking")
@dataclass(kw_only=True)
class StreamChunking(_Reframing):
    """A chunk is no event: it may hold several, or a part of one."""

    summary: ClassVar[str] = "Legal: events do not coincide with chunks: those of `tokens` in one chunk, or chunks of `bytes`."
    tokens: Annotated[int | None, Param("tokens in one chunk, which leaves when the last is due", "tokens", least=2)] = None
    bytes: Annotated[int | None, Param("size of a chunk", "bytes", least=1)] = None

    def __post_init__(self) -> None:
        if self.tokens is not None and self.bytes is not None:
            raise ValueError("tokens and bytes exclude each other: write one of them")
        if self.tokens is None and self.bytes is None:
            self.bytes = 1

    def turn(self) -> StreamRank:
        """Larger chunks are made of whole events, smaller ones of anything."""
        return StreamRank.PIECES if self.tokens is None else StreamRank.CHUNKS

    def reframed(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Larger or smaller chunks."""
        return _joined(frames, self.tokens) if self.tokens is not None else _in_pieces(frames, self.bytes or 1)


def _in_pieces(frames: Iterable[Frame], size: int) -> Iterator[Frame]:
    for frame in frames:
        for start in range(0, len(frame.data), size):
            yield frame._replace(data=frame.data[start : start + size])


def _joined(frames: Iterable[Frame], size: int) -> Iterator[Frame]:
    """Content with the comments between it; what opens, ends or pings during a stall keeps its own chunk."""
    waiting: list[Frame] = []
    for frame in frames:
        joins = frame.kind == "content" or (frame.kind == "comment" and not frame.late_s)
        if joins:
            waiting.append(frame)
        if waiting and not (joins and frame.token - waiting[0].token + 1 < size):
            yield _chunk_of(waiting)
            waiting = []
        if not joins:
            yield frame
    if waiting:
        yield _chunk_of(waiting)


def _chunk_of(frames: list[Frame]) -> Frame:
    """All of them in one chunk, due with the last."""
    kind: FrameKind = "content" if any(frame.kind == "content" for frame in frames) else "comment"
    return frames[-1]._replace(data=b"".join(frame.data for frame in frames), kind=kind)


@FAULTS.register("stream_comments")
@dataclass(kw_only=True)
class StreamComments(_Reframing):
    """Gateways keep connections alive with comments."""

    summary: ClassVar[str] = "Legal: a comment line `: ping` before every event with content."
    rank = StreamRank.COMMENTS

    def reframed(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Comments between events."""
        for frame in frames:
            if frame.kind == "content":
                yield frame._replace(data=b": ping\n\n", kind="comment")
            yield frame


@FAULTS.register("stream_usage_chunk")
@dataclass(kw_only=True)
class StreamUsageChunk(OfStreams):
    """Servers differ in the chunk that tells the usage: `choices[0]` of every chunk is a bug."""

    summary: ClassVar[str] = "Legal: the usage chunk is missing although asked for, or is there (`choices: []`) although nobody asked."
    how: Annotated[Literal["missing", "empty_choices"], Param("which of the two")] = "empty_choices"

    def concerns(self, plan: Plan) -> bool:
        """Whether it is a stream of chat completions, and the client expects otherwise."""
        call = plan.facts.call
        asked = call is not None and call.include_usage
        return super().concerns(plan) and plan.facts.route == CHAT and asked is (self.how == "missing")

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the stream."""
        if self.how == "missing":
            edit_stream(plan, self, StreamRank.CONTENT, _without_usage)
        else:
            edit_stream(plan, self, StreamRank.CONTENT, _adding_usage(plan))
        return True


def _without_usage(stream: Stream) -> Stream:
    return Stream([frame for frame in stream.frames if frame.kind != "usage"], stream.ending)


def _adding_usage(plan: Plan) -> Callable[[Stream], Stream]:
    """An edit that adds the chunk; what it tells is noted when the answer is there."""
    noted: list[Usage] = []

    def note(answer: Answer) -> Answer:
        noted.append(answer.usage)
        return answer

    def edit(stream: Stream) -> Stream:
        frames = list(stream.frames)
        head = next((value for value in map(payload, (frame.data for frame in frames)) if value is not None), None)
        if head is None:
            return stream
        usage = noted[-1]
        told = {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        }
        chunk = Frame(sse({**head, "choices": [], "usage": told}), frames[-1].token, "usage")
        at = next((i for i, frame in enumerate(frames) if frame.kind == "done"), len(frames))
        return replace(stream, frames=[*frames[:at], chunk, *frames[at:]])

    plan.answer_edits.append(note)
    return edit
