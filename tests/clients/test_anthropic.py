"""The anthropic package against the mock provider."""

from __future__ import annotations

import pytest

from tests.clients.conftest import KEY
from tests.clients.environments import call
from tests.integration.llm_process import ANSWER, LlmProcess

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

ERRORS = {"unknown_model": "NotFoundError", "wrong_key": "AuthenticationError", "no_messages": "BadRequestError"}


@pytest.mark.parametrize("environment", ["current", "previous"])
def test_every_call(environment: str, llm: LlmProcess) -> None:
    found = call(environment, "anthropic_calls", {"url": llm.url, "key": KEY})
    assert {name: found.pop(name)["raised"] for name in ERRORS} == ERRORS
    assert found == {
        "message": [ANSWER, "end_turn", True, "assistant"],
        "system": "end_turn",
        "max_tokens": ["max_tokens", 3],
        "stop_sequence": ["stop_sequence", " is "],
        "tool": ["tool_use", "get_weather", ["city"]],
        "stream": ["message_start", "message_stop", ANSWER, "end_turn"],
        "stream_gathered": [ANSWER, True],
        "stream_tool": ["tool_use", "get_weather", ["city"]],
        "count_tokens": True,
        "models": True,
        "async": [True],
    }
