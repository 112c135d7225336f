"""What is known of requests that have come before: the same bytes to the same address are the same request, with the same answer."""

from collections.abc import Hashable
from dataclasses import dataclass

from mocks.llm.answer import Answer, ChatCall

MOST_BYTES = 4 * 1024 * 1024
"""Of bodies that are remembered; once more than half of it has come anew, what was not asked again since is forgotten."""
_LONGEST = 64 * 1024


@dataclass(slots=True)
class Known:
    """A request for generated text: how it was understood, its key, the tokens of its prompt, and its answer once there is one.

    The answer is without id and time, which are another for every request.
    """

    call: ChatCall
    key: str
    prompt: int
    answer: Answer | None = None


class Memory:
    """Two generations of what is known, by address and body: what is asked for again moves to the younger one."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._half = most_bytes // 2
        self._young: dict[tuple[Hashable, bytes], Known] = {}
        self._old: dict[tuple[Hashable, bytes], Known] = {}
        self._bytes = 0

    def recall(self, address: Hashable, body: bytes) -> Known | None:
        """What is known of it, None where that is nothing (any more)."""
        found = self._young.get((address, body))
        if found is None and self._old:
            found = self._old.pop((address, body), None)
            if found is not None:
                self.keep(address, body, found)
        return found

    def keep(self, address: Hashable, body: bytes, known: Known) -> None:
        """Remember it, unless it is too long to be worth it."""
        if len(body) > _LONGEST:
            return
        if self._bytes > self._half:
            self._old, self._young, self._bytes = self._young, {}, 0
        self._young[address, body] = known
        self._bytes += len(body)

    def forget(self) -> None:
        """Everything, since answers have changed."""
        self._young, self._old, self._bytes = {}, {}, 0
