"""The answers of the public API as JSON Schema, for its description (`openapi`). Every field that is listed is always there."""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
NULL: Schema = {"type": "null"}


def one(**properties: Schema) -> Schema:
    """An object with all of these fields, and none other that is not described."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def many(item: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": item}


def const(value: str) -> Schema:
    """This text."""
    return {"type": "string", "const": value}


def maybe(schema: Schema) -> Schema:
    """The schema, or null."""
    return {"anyOf": [schema, NULL]}


def ref(name: str) -> Schema:
    """The schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


_CALL = one(id=TEXT, type=const("function"), function=one(name=TEXT, arguments=TEXT))
_TOKEN = {"token": TEXT, "logprob": {"type": "number", "maximum": 0}, "bytes": maybe(many(WHOLE))}
_SCORES = one(content=maybe(many(one(**_TOKEN, top_logprobs=many(one(**_TOKEN))))), refusal=NULL)
_FINISH = {"type": "string", "enum": ["stop", "length", "tool_calls", "content_filter"]}
_MESSAGE = one(role=const("assistant"), content=maybe(TEXT), refusal=maybe(TEXT), annotations=many({}))
_MESSAGE["properties"]["tool_calls"] = many(_CALL)
_CHAT_USAGE = one(
    prompt_tokens=WHOLE,
    completion_tokens=WHOLE,
    total_tokens=WHOLE,
    prompt_tokens_details=one(cached_tokens=WHOLE, audio_tokens=WHOLE),
    completion_tokens_details=one(
        reasoning_tokens=WHOLE, audio_tokens=WHOLE, accepted_prediction_tokens=WHOLE, rejected_prediction_tokens=WHOLE
    ),
)
_CHOICE = {"index": WHOLE, "message": _MESSAGE, "logprobs": maybe(_SCORES), "finish_reason": _FINISH}
_COMPLETION = {
    "id": TEXT,
    "object": const("chat.completion"),
    "created": WHOLE,
    "model": TEXT,
    "usage": _CHAT_USAGE,
    "service_tier": TEXT,
    "system_fingerprint": TEXT,
}
_VERDICTS: Schema = {"type": "object", "additionalProperties": one(filtered={"type": "boolean"})}

_PART = {
    "anyOf": [
        one(type=const("output_text"), text=TEXT, annotations=many({}), logprobs=many({})),
        one(type=const("refusal"), refusal=TEXT),
    ]
}
_STATUS = {"type": "string", "enum": ["completed", "incomplete"]}
_ITEM = {
    "anyOf": [
        one(id=TEXT, type=const("message"), status=_STATUS, role=const("assistant"), content=many(_PART)),
        one(id=TEXT, type=const("function_call"), status=_STATUS, arguments=TEXT, call_id=TEXT, name=TEXT),
    ]
}
_RESPONSE_USAGE = one(
    input_tokens=WHOLE,
    input_tokens_details=one(cached_tokens=WHOLE, cache_write_tokens=WHOLE),
    output_tokens=WHOLE,
    output_tokens_details=one(reasoning_tokens=WHOLE),
    total_tokens=WHOLE,
)
_BLOCK = {"anyOf": [one(type=const("text"), text=TEXT), one(type=const("tool_use"), id=TEXT, name=TEXT, input={"type": "object"})]}
_STOP_REASON = {"type": "string", "enum": ["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"]}
_MESSAGE_USAGE = one(
    input_tokens=WHOLE,
    output_tokens=WHOLE,
    cache_creation_input_tokens=WHOLE,
    cache_read_input_tokens=WHOLE,
    cache_creation=one(ephemeral_5m_input_tokens=WHOLE, ephemeral_1h_input_tokens=WHOLE),
    service_tier=TEXT,
)
_OPENAI_MODEL = one(id=TEXT, object=const("model"), created=WHOLE, owned_by=TEXT)
_ANTHROPIC_MODEL = one(
    id=TEXT, type=const("model"), display_name=TEXT, created_at={"type": "string", "format": "date-time"}, lifecycle=const("active")
)
_OPENAI_ERROR = one(message=TEXT, type=maybe(TEXT), param=maybe(TEXT), code=maybe(TEXT))

SCHEMAS: Mapping[str, Schema] = {
    "OpenAIError": one(error=_OPENAI_ERROR),
    "AzureError": one(error={"anyOf": [one(code=TEXT, message=TEXT), _OPENAI_ERROR]}),
    "AnthropicError": one(type=const("error"), error=one(type=TEXT, message=TEXT), request_id=TEXT),
    "ChatCompletion": one(**_COMPLETION, choices=many(one(**_CHOICE))),
    "AzureChatCompletion": one(
        **_COMPLETION,
        choices=many(one(**_CHOICE, content_filter_results=_VERDICTS)),
        prompt_filter_results=many(one(prompt_index=WHOLE, content_filter_results=_VERDICTS)),
    ),
    "Response": one(
        id=TEXT,
        object=const("response"),
        created_at=WHOLE,
        status=_STATUS,
        error=NULL,
        incomplete_details=maybe(one(reason={"type": "string", "enum": ["max_output_tokens", "content_filter"]})),
        instructions=maybe(TEXT),
        metadata={"type": "object"},
        model=TEXT,
        output=many(_ITEM),
        parallel_tool_calls={"type": "boolean"},
        temperature={"type": "number"},
        tool_choice={},
        tools=many({"type": "object"}),
        top_p={"type": "number"},
        usage=_RESPONSE_USAGE,
    ),
    "Embeddings": one(
        object=const("list"),
        data=many(one(object=const("embedding"), index=WHOLE, embedding={"anyOf": [TEXT, many({"type": "number"})]})),
        model=TEXT,
        usage=one(prompt_tokens=WHOLE, total_tokens=WHOLE),
    ),
    "Message": one(
        id=TEXT,
        type=const("message"),
        role=const("assistant"),
        model=TEXT,
        content=many(_BLOCK),
        stop_reason=_STOP_REASON,
        stop_sequence=maybe(TEXT),
        usage=_MESSAGE_USAGE,
    ),
    "TokenCount": one(input_tokens=WHOLE),
    "Models": {
        "anyOf": [
            one(object=const("list"), data=many(_OPENAI_MODEL)),
            one(data=many(_ANTHROPIC_MODEL), has_more={"type": "boolean"}, first_id=maybe(TEXT), last_id=maybe(TEXT)),
        ]
    },
    "Model": {"anyOf": [_OPENAI_MODEL, _ANTHROPIC_MODEL]},
    "Health": one(status=TEXT),
    "Readiness": one(ready={"type": "boolean"}, checks={"type": "object"}),
}
