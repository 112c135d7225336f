"""How one call is going to be answered: what the profile drew, and what faults make of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from mocks.common.value import value
from mocks.http.message import Cut
from mocks.llm.answer import Answer, ChatCall, EmbeddingAnswer
from mocks.llm.errors import ProviderError

FrameKind = Literal["open", "content", "finish", "usage", "done", "comment"]
Ending = Literal["clean", "fin", "reset", "hang"]
"""`clean`: the terminating chunk; `fin` and `reset`: without it; `hang`: nothing more, the connection stays open."""


class Frame(NamedTuple):
    """One piece of a stream, written as one chunk: usually one server-sent event, blank line included.

    It leaves when token number `token` (from 1; 0 counts as 1) of the answer is due, and `late_s` after that.
    """

    data: bytes
    token: int
    kind: FrameKind
    late_s: float = 0.0


@dataclass(slots=True)
class Stream:
    """The frames of a streamed answer in order, and how it ends. Endless streams come from a generator."""

    frames: Iterable[Frame]
    ending: Ending = "clean"


@dataclass(slots=True)
class Whole:
    """An answer in one piece. `length` is the Content-Length to declare where it is not the body's."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    length: int | None = None


@value
class Facts:
    """What is known of a call when faults decide on it.

    `key` identifies the request (equal bodies on one route under one seed have equal keys in every process); `attempt` counts its arrivals
    from 1, so that what is drawn for a repetition is drawn anew. `dialect` is `openai`, `azure` or `anthropic`.
    """

    route: str
    dialect: str
    model: str
    key: str
    attempt: int = 1
    stream: bool = False
    prompt_tokens: int = 0
    wanted_tokens: int = 0
    """What a token quota counts for the call: the prompt, and the most that may be generated."""
    in_flight: int = 1
    account: str | None = None
    organization: str | None = None
    tenant: str | None = None
    call: ChatCall | None = None
    """None for embeddings."""
    inputs: int = 0
    """How many texts are to be embedded; 0 for generated text."""


@dataclass(slots=True)
class Plan:
    """Faults change it before anything is sent; seconds count from the arrival of the request. `headers` go with any answer."""

    facts: Facts
    ttft_s: float
    itl_s: float
    headers: dict[str, str] = field(default_factory=dict)
    error: ProviderError | None = None
    """In the place of an answer; ends the applying of further faults."""
    instead: Whole | None = None
    """Likewise, where no provider speaks: a gateway's page."""
    before: Cut | Literal["hang"] | None = None
    """What the connection does before the first byte, in the place of an answer."""
    decided_after_s: float = 0.0
    """How long `error`, `instead` or `before` keep the client waiting."""
    headers_take_s: float = 0.0
    """Trickle the head of the answer over that long."""
    cut_next: Cut | None = None
    """Cut the connection when it is used again."""
    answer_edits: list[Callable[[Answer], Answer]] = field(default_factory=list)
    embedding_edits: list[Callable[[EmbeddingAnswer], EmbeddingAnswer]] = field(default_factory=list)
    whole_edits: list[Callable[[Whole], Whole]] = field(default_factory=list)
    stream_edits: list[Callable[[Stream], Stream]] = field(default_factory=list)
    void: list[object] = field(default_factory=list)
    """Faults none of whose edits has changed anything in this answer yet: `FaultTable.retract` takes them back."""
    pace: Callable[[int], float] | None = None
    """When token number i (from 1) is due, seconds after arrival, where that is not `ttft_s + (i - 1) * itl_s`."""

    @property
    def decided(self) -> bool:
        """Whether no answer of the model will be given."""
        return self.error is not None or self.instead is not None or self.before is not None

    def due_s(self, token: int) -> float:
        """When token number `token` is due, seconds after arrival."""
        if self.pace is not None:
            return self.pace(max(1, token))
        return self.ttft_s + (token - 1) * self.itl_s if token > 1 else self.ttft_s


def with_text(answer: Answer, index: int, tokens: tuple[str, ...]) -> Answer:
    """The answer with another text in one choice, usage and length counted anew."""
    choices = tuple(replace(one, tokens=tokens) if i == index else one for i, one in enumerate(answer.choices))
    usage = replace(answer.usage, completion_tokens=answer.usage.completion_tokens + len(tokens) - len(answer.choices[index].tokens))
    return replace(answer, choices=choices, usage=usage, longest=max(len(one.tokens) for one in choices))
