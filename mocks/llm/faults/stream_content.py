"""What goes wrong in the middle of a stream: events that are broken, doubled, in the wrong order, or errors."""

from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Annotated, ClassVar

from mocks.faults.documents import Param
from mocks.llm.faults.edits import StreamRank, edit_stream
from mocks.llm.faults.events import data_span, error_value, last_sequence, position, sse, text_start, until
from mocks.llm.faults.registry import FAULTS, OfStreams
from mocks.llm.plan import Facts, Frame, Plan, Stream

AfterTokens = Annotated[int, Param("how much of the answer is sent before; at the last event of a shorter one", "tokens", least=0)]


@dataclass(kw_only=True)
class _AtOneEvent(OfStreams):
    """Puts other frames in the place of one event with content; the stream goes on after it."""

    after_tokens: AfterTokens = 2

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the stream."""
        edit_stream(plan, self, StreamRank.CONTENT, self._edit)
        return True

    def _edit(self, stream: Stream) -> Stream:
        frames = list(stream.frames)
        at = position(frames, self.after_tokens)
        changed = None if at is None else self.instead(frames[at])
        if at is None or changed is None:
            return stream
        return Stream([*frames[:at], *changed, *frames[at + 1 :]], stream.ending)

    def instead(self, frame: Frame) -> list[Frame] | None:
        """The frames in its place; None where there is nothing to break."""
        raise NotImplementedError


@FAULTS.register("stream_bad_json")
@dataclass(kw_only=True)
class StreamBadJson(_AtOneEvent):
    """The framing is whole, the JSON in it is not."""

    summary: ClassVar[str] = "One event's JSON stops half-way; the events after it are good."

    def instead(self, frame: Frame) -> list[Frame] | None:
        """Half of the JSON."""
        span = data_span(frame.data)
        if span is None:
            return None
        start, end = span
        return [frame._replace(data=frame.data[: (start + end) // 2] + frame.data[end:])]


@FAULTS.register("stream_empty_data")
@dataclass(kw_only=True)
class StreamEmptyData(_AtOneEvent):
    """An event that says nothing."""

    summary: ClassVar[str] = "One more event, whose `data:` is empty; nothing of the answer is lost."

    def instead(self, frame: Frame) -> list[Frame] | None:
        """An empty event, then the frame."""
        span = data_span(frame.data)
        if span is None:
            return None
        head = frame.data[: span[0]].rstrip(b" ")
        return [frame._replace(data=head + b"\n\n"), frame]


@FAULTS.register("stream_invalid_utf8")
@dataclass(kw_only=True)
class StreamInvalidUtf8(_AtOneEvent):
    """A byte that is no UTF-8, inside of a JSON string."""

    summary: ClassVar[str] = "One event's text holds the byte 0xFF, which no UTF-8 has."

    def instead(self, frame: Frame) -> list[Frame] | None:
        """The byte before the text."""
        start = text_start(frame.data)
        return None if start is None else [frame._replace(data=frame.data[:start] + b"\xff" + frame.data[start:])]


@FAULTS.register("stream_duplicate")
@dataclass(kw_only=True)
class StreamDuplicate(_AtOneEvent):
    """The text is doubled where the client joins what it gets."""

    summary: ClassVar[str] = "One event with content comes twice."

    def instead(self, frame: Frame) -> list[Frame] | None:
        """The frame, twice."""
        return [frame, frame]


@FAULTS.register("stream_reorder")
@dataclass(kw_only=True)
class StreamReorder(OfStreams):
    """The text is garbled where the client joins what it gets."""

    summary: ClassVar[str] = "Two neighbouring events with content change places."
    after_tokens: AfterTokens = 2

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the stream."""
        edit_stream(plan, self, StreamRank.CONTENT, self._edit)
        return True

    def _edit(self, stream: Stream) -> Stream:
        frames = list(stream.frames)
        contents = [i for i, frame in enumerate(frames) if frame.kind == "content"]
        pairs = [(i, j) for i, j in pairwise(contents) if frames[i].data != frames[j].data]
        if not pairs:
            return stream
        first, second = next((pair for pair in pairs if frames[pair[0]].token > self.after_tokens), pairs[-1])
        early, late = frames[first].data, frames[second].data
        frames[first], frames[second] = frames[first]._replace(data=late), frames[second]._replace(data=early)
        return Stream(frames, stream.ending)


@dataclass(kw_only=True)
class _ErrorInside(OfStreams):
    """An error after the status has said that all is well."""

    event_name: ClassVar[str | None]
    after_tokens: AfterTokens = 2

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the stream."""

        def edit(stream: Stream) -> Stream:
            return Stream(self._failing(list(stream.frames), plan.facts), stream.ending)

        edit_stream(plan, self, StreamRank.CONTENT, edit)
        return True

    def _failing(self, frames: list[Frame], facts: Facts) -> list[Frame]:
        sent = list(until(frames, self.after_tokens))
        error = sse(error_value(facts, last_sequence(sent) + 1), self.event_name)
        return [*sent, Frame(error, sent[-1].token if sent else 1, "comment")]


@FAULTS.register("stream_error")
@dataclass(kw_only=True)
class InBandError(_ErrorInside):
    """The error is the data of an event like any other."""

    summary: ClassVar[str] = "An error object as `data:` in the middle, after which the stream ends."
    event_name = None


@FAULTS.register("stream_error_event")
@dataclass(kw_only=True)
class InBandErrorEvent(_ErrorInside):
    """The error is an event of its own kind."""

    summary: ClassVar[str] = "`event: error` with an error object in the middle, after which the stream ends."
    event_name = "error"
