"""Azure OpenAI: OpenAI's words under paths with a deployment and an API version, with the verdicts of its content filter.

`/openai/deployments/{deployment}/chat/completions` and `…/embeddings` want `?api-version=…`; under `/openai/v1/` the version is optional.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mocks.llm.answer import CHAT, Answer, ChatCall, Choice
from mocks.llm.dialects.base import Body, DialectName, encode
from mocks.llm.dialects.openai_chat import OpenAIChat
from mocks.llm.errors import ProviderError
from mocks.llm.plan import Frame

_CATEGORIES = ("hate", "self_harm", "sexual", "violence")
_SAFE = {"filtered": False, "severity": "safe"}
_FILTERED = {"filtered": True, "severity": "medium"}
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?|v1|preview|latest")

PROMPT_VERDICT = {
    **dict.fromkeys(_CATEGORIES, _SAFE),
    "jailbreak": {"filtered": False, "detected": False},
}
"""What the filter says of a prompt that it lets pass."""


class AzureChat:
    """Chat completions of a deployment, whole and streamed."""

    name: DialectName = "azure"
    route: Final = CHAT
    id_prefix: Final = "chatcmpl-"

    def __init__(self) -> None:
        self._openai = OpenAIChat("azure", _verdict)

    def parse(self, body: Body) -> ChatCall:
        """Check a request, whose `model` is the deployment. Raises ProviderError 400 naming the parameter."""
        return self._openai.parse(body)

    def whole(self, answer: Answer, call: ChatCall) -> bytes:
        """The JSON body: OpenAI's, and the verdicts on the prompt."""
        return self._openai.whole(answer, call)[:-1] + b',"prompt_filter_results":' + encode(_PROMPT_RESULTS) + b"}"

    def frames(self, answer: Answer, call: ChatCall, tokens_per_chunk: int) -> list[Frame]:
        """The events: first the verdicts on the prompt, in a chunk without choices, then OpenAI's."""
        opening = {
            "choices": [],
            "created": answer.created,
            "id": answer.id,
            "model": answer.model,
            "object": "chat.completion.chunk",
            "prompt_filter_results": _PROMPT_RESULTS,
        }
        return [Frame(b"data: " + encode(opening) + b"\n\n", 1, "open"), *self._openai.frames(answer, call, tokens_per_chunk)]


def check_api_version(parameters: Mapping[str, Sequence[str]]) -> None:
    """Whether the query names an API version, as paths with a deployment must. Raises ProviderError 404."""
    versions = parameters.get("api-version") or ()
    if len(versions) != 1 or not _VERSION.fullmatch(versions[0]):
        raise ProviderError(404, "Resource not found")


def _verdict(choice: Choice) -> Mapping[str, Any]:
    """What the filter says of one choice, or of a piece of it."""
    verdicts = dict.fromkeys(_CATEGORIES, _SAFE)
    if choice.finish == "content_filter":
        verdicts["violence"] = _FILTERED
    return {"content_filter_results": verdicts}


_PROMPT_RESULTS = [{"prompt_index": 0, "content_filter_results": PROMPT_VERDICT}]
