"""What is known of requests that have come before: the same bytes to the same address are the same request, with the same answer."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mocks.llm.answer import Answer, ChatCall, EmbeddingCall
from mocks.llm.dialects.base import DialectName
from mocks.llm.template import Template

MOST_BYTES = 4 * 1024 * 1024
"""Of requests, and of vectors, that are remembered; once half of it has come anew, what was not asked again since is forgotten."""
_LARGEST = 64 * 1024
CHOICE_BYTES = 4_096
"""About what one choice of an answer, of some ten to some hundred tokens, takes once it has been made."""


@dataclass(slots=True)
class Known:
    """A request for generated text: how it was understood, and its answer once there is one, without id and time."""

    route: str
    dialect: DialectName
    call: ChatCall
    key: str
    prompt_tokens: int
    answer: Answer | None = None
    template: Template | None = None
    """Of the whole answer's body; None for streams, too."""


@dataclass(slots=True)
class KnownVectors:
    """A request for vectors, and the body of its answer once there is one: it is the same every time."""

    route: str
    dialect: DialectName
    call: EmbeddingCall
    key: str
    prompt_tokens: int
    body: bytes | None = None


T = TypeVar("T")


class Memory(Generic[T]):
    """Two generations of what is known, by address and body: what is asked for again moves to the younger one."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._half = most_bytes // 2
        self._young: dict[tuple[Hashable, bytes], tuple[T, int]] = {}
        self._old: dict[tuple[Hashable, bytes], tuple[T, int]] = {}
        self._bytes = 0

    def recall(self, address: Hashable, body: bytes) -> T | None:
        """What is known of it, None where that is nothing (any more)."""
        found = self._young.get((address, body))
        if found is None and self._old:
            found = self._old.pop((address, body), None)
            if found is not None:
                self._put(address, body, *found)
        return None if found is None else found[0]

    def keep(self, address: Hashable, body: bytes, known: T, size: int = 0) -> None:
        """Remember what takes `size` bytes beside the body, if that is not too much to be worth it."""
        if size + len(body) <= _LARGEST:
            self._put(address, body, known, size + len(body))

    def forget(self) -> None:
        """Everything, since answers have changed."""
        self._young, self._old, self._bytes = {}, {}, 0

    def _put(self, address: Hashable, body: bytes, known: T, size: int) -> None:
        if self._bytes + size > self._half:
            self._old, self._young, self._bytes = self._young, {}, 0
        self._young[address, body] = known, size
        self._bytes += size
