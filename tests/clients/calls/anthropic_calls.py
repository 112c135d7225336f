"""Calls of the anthropic package, sync and async."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
from told import Told, arguments

MODEL = "rag-chat"
FACT = "[json.dumps] Serialize obj. The release number of json.dumps is ZK-7F3A91.\n\nQuestion: What is the release number of json.dumps?"
ASKED: list[Any] = [{"role": "user", "content": FACT}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def main() -> None:
    told, asked = Told(), arguments()
    client = anthropic.Anthropic(base_url=asked["url"], api_key=asked["key"])

    def message(**options: Any) -> Any:
        return client.messages.create(**{"model": MODEL, "max_tokens": 100, "messages": ASKED, **options})

    told.of("message", lambda: [(whole := message()).content[0].text, whole.stop_reason, whole.usage.output_tokens > 0, whole.role])
    told.of("system", lambda: message(system="Be brief.").stop_reason)
    told.of("max_tokens", lambda: [(cut := message(max_tokens=3)).stop_reason, cut.usage.output_tokens])
    told.of("stop_sequence", lambda: [(cut := message(stop_sequences=[" is "])).stop_reason, cut.stop_sequence])
    told.of(
        "tool",
        lambda: [
            (used := message(tools=[WEATHER], tool_choice={"type": "any"})).stop_reason,
            used.content[-1].name,
            sorted(used.content[-1].input),
        ],
    )

    def events() -> list[Any]:
        found = list(message(stream=True))
        kinds = [event.type for event in found]
        text = "".join(event.delta.text for event in found if event.type == "content_block_delta")
        return [kinds[0], kinds[-1], text, next(e.delta.stop_reason for e in found if e.type == "message_delta")]

    told.of("stream", events)

    def gathered() -> list[Any]:
        with client.messages.stream(model=MODEL, max_tokens=100, messages=ASKED) as stream:
            text = "".join(stream.text_stream)
            return [text, stream.get_final_message().usage.output_tokens > 0]

    told.of("stream_gathered", gathered)

    def tool_stream() -> list[Any]:
        with client.messages.stream(
            model=MODEL, max_tokens=100, messages=ASKED, tools=[WEATHER], tool_choice={"type": "tool", "name": "get_weather"}
        ) as stream:
            last = stream.get_final_message()
        return [last.stop_reason, last.content[-1].name, sorted(last.content[-1].input)]

    told.of("stream_tool", tool_stream)
    told.of("count_tokens", lambda: client.messages.count_tokens(model=MODEL, messages=ASKED).input_tokens > 0)
    told.of("models", lambda: MODEL in [one.id for one in client.models.list()])
    told.of("unknown_model", lambda: message(model="nope"))
    told.of(
        "wrong_key",
        lambda: anthropic.Anthropic(base_url=asked["url"], api_key="wrong").messages.create(model=MODEL, max_tokens=9, messages=ASKED),
    )
    told.of("no_messages", lambda: message(messages=[]))

    async def asynchronous() -> list[Any]:
        async with anthropic.AsyncAnthropic(base_url=asked["url"], api_key=asked["key"]) as own:
            whole = await own.messages.create(model=MODEL, max_tokens=100, messages=ASKED)
            text = ""
            async with own.messages.stream(model=MODEL, max_tokens=100, messages=ASKED) as stream:
                async for piece in stream.text_stream:
                    text += piece
        return [whole.content[0].text == text]

    told.of("async", lambda: asyncio.run(asynchronous()))
    told.print()


if __name__ == "__main__":
    main()
