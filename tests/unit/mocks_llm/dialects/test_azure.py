"""Azure's variant of chat completions: the verdicts of its filter around OpenAI's answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from mocks.llm.answer import ChatCall, Choice, Turn
from mocks.llm.answers.base import completed
from mocks.llm.dialects.azure import AzureChat, check_api_version
from mocks.llm.dialects.openai_chat import OpenAIChat
from mocks.llm.errors import ProviderError
from tests.unit.mocks_llm.dialects.answering import choices, events

AZURE = AzureChat()
SAFE = {"filtered": False, "severity": "safe"}
VERDICT = {"hate": SAFE, "self_harm": SAFE, "sexual": SAFE, "violence": SAFE}
PROMPT = [{"prompt_index": 0, "content_filter_results": {**VERDICT, "jailbreak": {"filtered": False, "detected": False}}}]


def without_verdicts(choice: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in choice.items() if name != "content_filter_results"}


@given(choices(), st.integers(1, 3), st.booleans())
def test_the_answers_are_those_of_openai_with_verdicts(some: tuple[Choice, ...], size: int, include_usage: bool) -> None:
    call = ChatCall("gpt", (Turn("user", "x"),), n=len(some), include_usage=include_usage)
    answer = completed("chatcmpl-1", "gpt", 1, some, 7)
    whole = json.loads(AZURE.whole(answer, call))
    ChatCompletion.model_validate_json(AZURE.whole(answer, call), strict=True)
    assert whole.pop("prompt_filter_results") == PROMPT
    for choice in whole["choices"]:
        assert (choice["content_filter_results"] == VERDICT) == (choice["finish_reason"] != "content_filter")
    whole["choices"] = [without_verdicts(choice) for choice in whole["choices"]]
    assert whole == json.loads(OpenAIChat().whole(answer, call))
    first, *told = events(AZURE.frames(answer, call, size))
    assert (first.data["choices"], first.data["prompt_filter_results"]) == ([], PROMPT)
    ChatCompletionChunk.model_validate(first.data, strict=True)
    for event in told[:-1]:
        ChatCompletionChunk.model_validate(event.data, strict=True)
        assert all("content_filter_results" in choice for choice in event.data["choices"])
        event.data["choices"] = [without_verdicts(choice) for choice in event.data["choices"]]
    assert told == events(OpenAIChat().frames(answer, call, size))


@pytest.mark.parametrize("version", ["2024-10-21", "2025-01-01-preview", "preview", "v1"])
def test_api_versions(version: str) -> None:
    check_api_version({"api-version": [version]})


@pytest.mark.parametrize(
    "parameters", [{}, {"api-version": [""]}, {"api-version": ["2024"]}, {"api-version": ["2024-10-21", "2024-10-21"]}]
)
def test_without_an_api_version_there_is_no_such_resource(parameters: dict[str, list[str]]) -> None:
    with pytest.raises(ProviderError, match="Resource not found") as caught:
        check_api_version(parameters)
    assert caught.value.status == 404
