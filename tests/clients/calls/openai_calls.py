"""Calls of the openai package, sync and async: models, chat, streams, tools, JSON, embeddings, responses, and the Azure client."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
from told import Told, arguments

CHAT, VECTORS = "rag-chat", "rag-embedding"
FACT = "[json.dumps] Serialize obj. The release number of json.dumps is ZK-7F3A91.\n\nQuestion: What is the release number of json.dumps?"
ASKED: list[dict[str, Any]] = [{"role": "user", "content": FACT}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
PERSON = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
            "required": ["name", "age"],
            "additionalProperties": False,
        },
    },
}


def chat(told: Told, client: Any) -> None:
    told.of("models", lambda: sorted(one.id for one in client.models.list()))
    told.of("model", lambda: client.models.retrieve(CHAT).id)
    whole = told.of("chat", lambda: client.chat.completions.create(model=CHAT, messages=ASKED))
    told.found["chat"] = [whole.choices[0].message.content, whole.choices[0].finish_reason, whole.object]
    told.of("usage", lambda: whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0)
    told.of(
        "raw_headers",
        lambda: sorted(
            name
            for name in client.chat.completions.with_raw_response.create(model=CHAT, messages=ASKED).headers
            if name in ("x-request-id", "openai-processing-ms")
        ),
    )
    told.of(
        "max_tokens",
        lambda: [
            (cut := client.chat.completions.create(model=CHAT, messages=ASKED, max_completion_tokens=3)).choices[0].finish_reason,
            cut.usage.completion_tokens,
        ],
    )
    told.of("stop", lambda: client.chat.completions.create(model=CHAT, messages=ASKED, stop=[" is "]).choices[0].message.content)
    told.of("n", lambda: [one.index for one in client.chat.completions.create(model=CHAT, messages=ASKED, n=3).choices])
    told.of(
        "json_schema", lambda: client.chat.completions.create(model=CHAT, messages=ASKED, response_format=PERSON).choices[0].message.content
    )


def streams(told: Told, client: Any) -> None:
    def read(**options: Any) -> list[Any]:
        return list(client.chat.completions.create(model=CHAT, messages=ASKED, stream=True, **options))

    def text() -> list[Any]:
        chunks = read(stream_options={"include_usage": True})
        joined = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
        return [joined, finishes, chunks[-1].choices, chunks[-1].usage.completion_tokens > 0, len({chunk.id for chunk in chunks})]

    told.of("stream", text)
    told.of("stream_n", lambda: sorted({chunk.choices[0].index for chunk in read(n=2) if chunk.choices}))

    def tool() -> list[Any]:
        chunks = read(tools=[WEATHER], tool_choice="required")
        parts = [part for chunk in chunks for part in (chunk.choices[0].delta.tool_calls or [])]
        return [
            parts[0].function.name,
            bool(parts[0].id),
            "".join(part.function.arguments or "" for part in parts),
            chunks[-1].choices[0].finish_reason,
        ]

    told.of("stream_tool", tool)


def tools(told: Told, client: Any) -> None:
    def called() -> list[Any]:
        choice = client.chat.completions.create(
            model=CHAT, messages=ASKED, tools=[WEATHER], tool_choice={"type": "function", "function": {"name": "get_weather"}}
        ).choices[0]
        call = choice.message.tool_calls[0]
        after = client.chat.completions.create(
            model=CHAT,
            tools=[WEATHER],
            messages=[
                *ASKED,
                choice.message,
                {"role": "tool", "tool_call_id": call.id, "content": "[weather] It is 21 degrees in Berlin."},
            ],
        )
        return [
            call.type,
            call.function.name,
            call.function.arguments,
            choice.finish_reason,
            choice.message.content,
            after.choices[0].finish_reason,
        ]

    told.of("tool", called)


def vectors(told: Told, client: Any) -> None:
    def embedding(**options: Any) -> list[float]:
        return client.embeddings.create(model=VECTORS, **options).data[0].embedding

    told.of(
        "embeddings",
        lambda: [
            len(embedding(input="some words")),
            [one.index for one in client.embeddings.create(model=VECTORS, input=["a", "b", "c"]).data],
        ],
    )
    told.of(
        "embeddings_float_is_base64",
        lambda: (
            max(abs(a - b) for a, b in zip(embedding(input="same"), embedding(input="same", encoding_format="float"), strict=True)) < 1e-6
        ),
    )
    told.of("embeddings_dimensions", lambda: len(embedding(input="some words", dimensions=64)))
    told.of(
        "embeddings_tokens",
        lambda: [len(embedding(input=[1, 2, 3])), len(client.embeddings.create(model=VECTORS, input=[[1, 2], [3]]).data)],
    )
    told.of("embeddings_usage", lambda: client.embeddings.create(model=VECTORS, input="two words").usage.prompt_tokens)


def responses(told: Told, client: Any) -> None:
    whole = told.of("response", lambda: client.responses.create(model=CHAT, input=FACT))
    told.found["response"] = [whole.output_text, whole.status, whole.usage.output_tokens > 0] if whole else told.found["response"]

    def streamed() -> list[Any]:
        events = list(client.responses.create(model=CHAT, input=FACT, stream=True))
        joined = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        return [events[0].type, joined, events[-1].type, [event.sequence_number for event in events] == list(range(len(events)))]

    told.of("response_stream", streamed)
    flat = {"type": "function", **WEATHER["function"]}  # type: ignore[dict-item]
    told.of(
        "response_tool",
        lambda: [
            (item.type, item.name) for item in client.responses.create(model=CHAT, input=FACT, tools=[flat], tool_choice="required").output
        ],
    )


def refused(told: Told, client: Any, url: str) -> None:
    told.of("unknown_model", lambda: client.chat.completions.create(model="nope", messages=ASKED))
    told.of("wrong_key", lambda: openai.OpenAI(base_url=url + "/v1", api_key="sk-wrong").models.list())
    told.of("bad_temperature", lambda: client.chat.completions.create(model=CHAT, messages=ASKED, temperature=9))
    told.of("no_messages", lambda: client.chat.completions.create(model=CHAT, messages=[]))
    told.of("empty_input", lambda: client.embeddings.create(model=VECTORS, input=""))


async def asynchronous(told: Told, url: str, key: str) -> None:
    client = openai.AsyncOpenAI(base_url=url + "/v1", api_key=key)
    whole = await client.chat.completions.create(model=CHAT, messages=ASKED)
    text = ""
    async for chunk in await client.chat.completions.create(model=CHAT, messages=ASKED, stream=True):
        text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    vectors = await client.embeddings.create(model=VECTORS, input=["a", "b"])
    many = await asyncio.gather(*(client.chat.completions.create(model=CHAT, messages=ASKED) for _ in range(20)))
    told.of(
        "async",
        lambda: [whole.choices[0].message.content == text, len(vectors.data), len({one.choices[0].message.content for one in many})],
    )
    await client.close()


def azure(told: Told, url: str, key: str) -> None:
    client = openai.AzureOpenAI(azure_endpoint=url, api_key=key, api_version="2024-10-21")
    told.of("azure_chat", lambda: client.chat.completions.create(model=CHAT, messages=ASKED).choices[0].message.content)
    told.of(
        "azure_stream",
        lambda: "".join(
            chunk.choices[0].delta.content or ""
            for chunk in client.chat.completions.create(model=CHAT, messages=ASKED, stream=True)
            if chunk.choices
        ),
    )
    told.of("azure_embeddings", lambda: len(client.embeddings.create(model=VECTORS, input="words").data[0].embedding))
    told.of("azure_unknown_deployment", lambda: client.chat.completions.create(model="nope", messages=ASKED))


def main() -> None:
    told, asked = Told(), arguments()
    url, key = asked["url"], asked["key"]
    client = openai.OpenAI(base_url=url + "/v1", api_key=key)
    for part in (chat, streams, tools, vectors, responses):
        part(told, client)
    refused(told, client, url)
    asyncio.run(asynchronous(told, url, key))
    azure(told, url, key)
    told.print()


if __name__ == "__main__":
    main()
