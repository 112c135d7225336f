"""The response object of the Responses API, and the items of its output."""

from collections.abc import Mapping
from typing import Any, Literal

from mocks.llm.answer import Answer, ChatCall, Choice, ToolCall, Usage
from mocks.llm.dialects.logprobs import scored

Status = Literal["in_progress", "completed", "incomplete"]
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def finished(answer: Answer, call: ChatCall) -> dict[str, Any]:
    """The response with its output and usage: `completed`, or `incomplete` where a limit or a filter ended it."""
    choice = answer.choices[0]
    response = in_progress(answer, call)
    reason = _INCOMPLETE.get(choice.finish)
    return response | {
        "status": status(choice),
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": output(answer, call),
        "usage": _usage(answer.usage),
    }


def in_progress(answer: Answer, call: ChatCall) -> dict[str, Any]:
    """The response before any of its output."""
    return {
        "id": answer.id,
        "object": "response",
        "created_at": answer.created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": answer.model,
        "output": [],
        "previous_response_id": None,
        "service_tier": "default",
        "usage": None,
        **call.repeated,
    }


def status(choice: Choice) -> Status:
    """How the answer ended."""
    return "incomplete" if choice.finish in _INCOMPLETE else "completed"


def output(answer: Answer, call: ChatCall) -> list[dict[str, Any]]:
    """The finished items: one message, or each call of a tool."""
    choice = answer.choices[0]
    if not choice.tool_calls:
        return [message(answer, status(choice), [part(choice, call)])]
    last = len(choice.tool_calls) - 1
    statuses: list[Status] = [status(choice) if i == last else "completed" for i in range(last + 1)]
    return [called(answer, i, one, statuses[i], one.arguments) for i, one in enumerate(choice.tool_calls)]


def message(answer: Answer, state: Status, content: list[Mapping[str, Any]]) -> dict[str, Any]:
    """A message of the assistant."""
    return {"id": f"msg_{_suffix(answer)}", "type": "message", "status": state, "role": "assistant", "content": content}


def called(answer: Answer, index: int, call: ToolCall, state: Status, arguments: str) -> dict[str, Any]:
    """A call of a tool, the one at `index`."""
    return {
        "id": f"fc_{_suffix(answer)}{index:02x}",
        "type": "function_call",
        "status": state,
        "arguments": arguments,
        "call_id": call.id,
        "name": call.name,
    }


def part(choice: Choice, call: ChatCall) -> dict[str, Any]:
    """The content of a message: text, or a refusal."""
    if choice.refusal is not None:
        return {"type": "refusal", "refusal": choice.refusal}
    scores = [] if call.logprobs is None else scored(choice.tokens, 0, len(choice.tokens), call.logprobs)
    return {"type": "output_text", "annotations": [], "logprobs": scores, "text": choice.text}


def _suffix(answer: Answer) -> str:
    return answer.id.removeprefix("resp_")


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
