"""LangChain and LlamaIndex, each through a whole retrieval: embeddings, store, chat."""

from __future__ import annotations

import pytest

from tests.clients.conftest import KEY
from tests.clients.environments import call
from tests.integration.llm_process import ANSWER, LlmProcess
from tests.integration.vector_stores import VectorProcess

pytestmark = [pytest.mark.e2e, pytest.mark.beside]


@pytest.mark.parametrize("environment", ["current", "previous"])
def test_langchain(environment: str, llm: LlmProcess, qdrant: VectorProcess) -> None:
    assert call(environment, "langchain_calls", {"url": llm.url, "key": KEY, "qdrant": qdrant.url}) == {
        "invoke": [ANSWER, "stop", True],
        "stream": ANSWER,
        "tool": ["get_weather", ["city"]],
        "batch": 1,
        "astream": ANSWER,
        "embed": [384, 3],
        "qdrant": ["json.dumps serialises an object.", 2, [2]],
    }


def test_llama_index(llm: LlmProcess, qdrant: VectorProcess) -> None:
    assert call("previous", "llama_index_calls", {"url": llm.url, "key": KEY, "qdrant": qdrant.url}) == {
        "chat": ANSWER,
        "stream": ANSWER,
        "embed": 384,
        "qdrant": ["json.dumps serialises an object.", 2, True, ["d0", "d2"]],
    }
