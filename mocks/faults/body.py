"""Answers in one piece whose status says that all is well, and whose bytes are not what their head announces."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any, ClassVar, TypeVar

from mocks.faults.base import OfAnyCall, Registry
from mocks.faults.documents import Param
from mocks.faults.edits import Whole, WholePlan, WholeRank, edit_whole, with_body

TYPES = Registry()
_Whole = TypeVar("_Whole", bound=Whole)


@dataclass(kw_only=True)
class _BrokenBody(OfAnyCall, ABC):
    """Changes the bytes of the body, whatever they say."""

    def apply(self, plan: WholePlan[Any], now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the body."""
        edit_whole(plan, self, WholeRank.BYTES, self.edited)
        return True

    def edited(self, whole: _Whole) -> _Whole:
        """The answer as it leaves; the very same where there is nothing to break."""
        body = self.broken(whole.body)
        return whole if body == whole.body else with_body(whole, body)

    @abstractmethod
    def broken(self, body: bytes) -> bytes:
        """What is sent of the body, or in its place."""


@TYPES.register("empty_body")
@dataclass(kw_only=True)
class EmptyBody(_BrokenBody):
    """Nothing where JSON is announced."""

    summary: ClassVar[str] = "200 with an empty body."

    def broken(self, body: bytes) -> bytes:  # noqa: ARG002 - whatever it was
        """No bytes."""
        return b""


@TYPES.register("truncated_json")
@dataclass(kw_only=True)
class TruncatedJson(_BrokenBody):
    """HTTP is content: the length fits what is sent."""

    summary: ClassVar[str] = "200 with only the first part of the JSON, and a Content-Length to match."
    share: Annotated[float, Param("how much of the body is sent", "ratio", above=0, below=1)] = 0.5

    def broken(self, body: bytes) -> bytes:
        """The first bytes."""
        return body[: int(len(body) * self.share)]


@TYPES.register("invalid_json")
@dataclass(kw_only=True)
class InvalidJson(_BrokenBody):
    """All of it is there, but it is no JSON."""

    summary: ClassVar[str] = "200 with JSON that ends in a comma too many, which no parser takes."

    def broken(self, body: bytes) -> bytes:
        """A comma before the last bracket, or after a bare value; what is no JSON already has none to spoil."""
        try:
            json.loads(body)
        except ValueError:
            return body
        return body[:-1] + b"," + body[-1:] if body.endswith((b"}", b"]")) else body + b","


@TYPES.register("short_body")
@dataclass(kw_only=True)
class ShortBody(_BrokenBody):
    """HTTP can tell that something is missing."""

    summary: ClassVar[str] = "Content-Length announces the whole body, half of it comes, then the connection is closed."

    def edited(self, whole: _Whole) -> _Whole:
        """Announces what the body was."""
        edited = super().edited(whole)
        if edited is not whole:
            edited.length = len(whole.body)
        return edited

    def broken(self, body: bytes) -> bytes:
        """Half of the bytes."""
        return body[: len(body) // 2]
