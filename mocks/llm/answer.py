"""What is asked and what is answered, apart from the words of any one provider's API."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from mocks.common.value import value
from mocks.llm.hashing import Vector

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
EMBEDDINGS = "/v1/embeddings"
GENERATIONS = frozenset({CHAT, RESPONSES, MESSAGES})

Finish = Literal["stop", "length", "tool_calls", "content_filter"]


@value
class Turn:
    """One message of the conversation, as text; a tool's result is a turn of role `tool`."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str


@value
class Tool:
    """A function that the model may call; `schema` is the JSON Schema of its arguments."""

    name: str
    schema: Mapping[str, Any]


@value
class ChatCall:
    """A checked request for generated text.

    `tool_choice` is `auto`, `none`, `required` or the name of a tool. `json_schema` is None unless JSON is wanted; `{}` means any object.
    `max_tokens` None means the model's own limit; `n` is the number of choices. `logprobs` None means that none are wanted, else how many
    alternatives to each token are. `other_tokens` are those of the prompt that are in no turn: pictures, descriptions of tools.
    `repeated` is what the answer repeats of the request (the Responses API).
    """

    model: str
    turns: tuple[Turn, ...]
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    parallel_tools: bool = True
    json_schema: Mapping[str, Any] | None = None
    logprobs: int | None = None
    other_tokens: int = 0
    repeated: Mapping[str, Any] = field(default_factory=dict)
    tenant: str | None = None
    """Who the caller says it asks for (`user`, `safety_identifier`, `metadata.user_id`)."""

    @property
    def prompt(self) -> str:
        """The text of all turns, a blank line between two."""
        return "\n\n".join([turn.text for turn in self.turns])


@value
class EmbeddingCall:
    """A checked request for vectors; an input is text or token ids. `dimensions` None means all of the model's."""

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    as_base64: bool = False
    tenant: str | None = None


@value
class ToolCall:
    """The model's call of a tool; `arguments` is a JSON object as text."""

    id: str
    name: str
    arguments: str


@value
class Choice:
    """One answer. Its tokens joined are its text; with tool calls there is no text. `refusal` stands in the place of text."""

    tokens: tuple[str, ...]
    finish: Finish = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None
    stopped_by: str | None = None
    """The stop sequence that ended it; it is no part of the text."""

    @property
    def text(self) -> str:
        """What it says."""
        return "".join(self.tokens)


@value
class Usage:
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int = 0


@value
class Answer:
    """Everything generated for one call. `model` is the name that the answer carries."""

    id: str
    model: str
    created: int
    choices: tuple[Choice, ...]
    usage: Usage
    longest: int = field(default=0)
    """Tokens of its longest choice: as long as that takes, generation lasts."""


@value
class EmbeddingAnswer:
    """The vectors for one call; `indices` are what the items say of their place in the input."""

    model: str
    vectors: Sequence[Vector]
    indices: Sequence[int]
    usage: Usage
    as_base64: bool
