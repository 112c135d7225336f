"""The events of a streamed response, in the order of the Responses API, numbered in sequence."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from mocks.llm.answer import Answer, ChatCall, Choice, ToolCall
from mocks.llm.dialects.base import content_frames, encode, event, grouped, last_tokens, quoted
from mocks.llm.dialects.logprobs import scored
from mocks.llm.dialects.openai_response_object import called, finished, in_progress, message, output, part
from mocks.llm.plan import Frame, FrameKind
from mocks.llm.words import tokens


def frames(answer: Answer, call: ChatCall, tokens_per_chunk: int) -> list[Frame]:
    """From `response.created` to `response.completed` (or `response.incomplete`)."""
    stream = _Stream(answer, call, tokens_per_chunk)
    opening = {"response": in_progress(answer, call)}
    stream.add("response.created", opening, "open")
    stream.add("response.in_progress", opening, "open")
    choice = answer.choices[0]
    if choice.tool_calls:
        for i, one in enumerate(choice.tool_calls):
            stream.add_call(i, one)
    else:
        stream.add_message(choice)
    response = finished(answer, call)
    stream.add(f"response.{response['status']}", {"response": response}, "done")
    return stream.frames


class _Stream:
    """The events so far; `_token` tokens have been generated."""

    def __init__(self, answer: Answer, call: ChatCall, tokens_per_chunk: int) -> None:
        self.frames: list[Frame] = []
        self._answer = answer
        self._call = call
        self._size = tokens_per_chunk
        self._token = 0
        self._output = output(answer, call)

    def add(self, name: str, data: Mapping[str, Any], kind: FrameKind) -> None:
        """One event. What opens something leaves with the token after it."""
        numbered = {"type": name, "sequence_number": len(self.frames), **data}
        due = min(self._token + 1, max(1, self._answer.longest)) if kind == "open" else max(1, self._token)
        self.frames.append(Frame(event(name, numbered), due, kind))

    def add_message(self, choice: Choice) -> None:
        """A message with one part, text or refusal."""
        item = message(self._answer, "in_progress", [])
        where = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        said = part(choice, self._call)
        kind = "text" if choice.refusal is None else "refusal"
        name = f"response.{'output_text' if kind == 'text' else 'refusal'}"
        self.add("response.output_item.added", {"output_index": 0, "item": item}, "open")
        self.add(
            "response.content_part.added", {**where, "part": {**said, kind: "", **({"logprobs": []} if kind == "text" else {})}}, "open"
        )
        if kind == "text" and self._call.logprobs is not None:
            self._add_scored(where, choice.tokens, self._call.logprobs)
        else:
            pieces = choice.tokens if choice.refusal is None else tokens(choice.refusal)
            self._add_deltas(f"{name}.delta", where, pieces, b',"logprobs":[]' if kind == "text" else b"")
        scores = {"logprobs": said["logprobs"]} if kind == "text" else {}
        self.add(f"{name}.done", {**where, kind: said[kind], **scores}, "finish")
        self.add("response.content_part.done", {**where, "part": said}, "finish")
        self.add("response.output_item.done", {"output_index": 0, "item": self._output[0]}, "finish")

    def add_call(self, index: int, call: ToolCall) -> None:
        """A call of a tool, its arguments piece by piece."""
        item = called(self._answer, index, call, "in_progress", "")
        where = {"item_id": item["id"], "output_index": index}
        name = "response.function_call_arguments"
        self.add("response.output_item.added", {"output_index": index, "item": item}, "open")
        self._add_deltas(f"{name}.delta", where, tokens(call.arguments), b"")
        self.add(f"{name}.done", {**where, "name": call.name, "arguments": call.arguments}, "finish")
        self.add("response.output_item.done", {"output_index": index, "item": self._output[index]}, "finish")

    def _add_deltas(self, name: str, where: Mapping[str, Any], pieces: Sequence[str], extra: bytes) -> None:
        """One event for each group of tokens; only number and text differ, so the rest is encoded once."""
        before = b"event: " + name.encode() + b'\ndata: {"type":"' + name.encode() + b'","sequence_number":'
        between = b"," + encode(where)[1:-1] + b',"delta":'
        after = extra + b"}\n\n"
        texts = map(quoted, grouped(tuple(pieces), self._size))
        numbers = count(len(self.frames))
        data = [before + b"%d" % number + between + text + after for number, text in zip(numbers, texts, strict=False)]
        self.frames += content_frames(data, last_tokens(len(pieces), self._size, self._token))
        self._token += len(pieces)

    def _add_scored(self, where: Mapping[str, Any], pieces: Sequence[str], alternatives: int) -> None:
        """Text with its log probabilities."""
        ends = last_tokens(len(pieces), self._size)
        for start, end in zip([0, *ends], ends, strict=False):
            self._token = end
            scores = scored(pieces, start, end, alternatives)
            self.add("response.output_text.delta", {**where, "delta": "".join(pieces[start:end]), "logprobs": scores}, "content")
