"""Answers whose status says that all is well, and whose body does not."""

import json
from dataclasses import dataclass, replace
from random import Random
from typing import Annotated, Any, ClassVar

from mocks.faults.documents import Param
from mocks.vector.faults.edits import WholeRank, edit_whole
from mocks.vector.faults.registry import FAULTS, OfAnyCall
from mocks.vector.plan import VectorPlan, Whole


@dataclass(kw_only=True)
class _BrokenBytes(OfAnyCall):
    """Changes the bytes of the body, whatever they say."""

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Edit the body."""
        edit_whole(plan, self, WholeRank.BYTES, self.broken)
        return True

    def broken(self, whole: Whole) -> Whole:
        """The answer as it leaves."""
        raise NotImplementedError


@FAULTS.register("empty_body")
@dataclass(kw_only=True)
class EmptyBody(_BrokenBytes):
    """Nothing where JSON is announced."""

    summary: ClassVar[str] = "200 with an empty body."

    def broken(self, whole: Whole) -> Whole:
        """No bytes."""
        return replace(whole, body=b"") if whole.body else whole


@FAULTS.register("truncated_json")
@dataclass(kw_only=True)
class TruncatedJson(_BrokenBytes):
    """HTTP is content: the length fits what is sent."""

    summary: ClassVar[str] = "200 with only the first part of the JSON, and a Content-Length to match."
    share: Annotated[float, Param("how much of the body is sent", "ratio", above=0, below=1)] = 0.5

    def broken(self, whole: Whole) -> Whole:
        """The first bytes."""
        kept = whole.body[: int(len(whole.body) * self.share)]
        return replace(whole, body=kept) if len(kept) < len(whole.body) else whole


@FAULTS.register("invalid_json")
@dataclass(kw_only=True)
class InvalidJson(_BrokenBytes):
    """All of it is there, but it is no JSON."""

    summary: ClassVar[str] = "200 with JSON that ends in a comma too many, which no parser takes."

    def broken(self, whole: Whole) -> Whole:
        """A comma before the last bracket, or after a bare value."""
        last = whole.body[-1:]
        if not last:
            return whole
        return replace(whole, body=whole.body[:-1] + b"," + last if last in b"}]" else whole.body + b",")


@FAULTS.register("short_body")
@dataclass(kw_only=True)
class ShortBody(_BrokenBytes):
    """HTTP can tell that something is missing."""

    summary: ClassVar[str] = "Content-Length announces the whole body, half of it comes, then the connection is closed."

    def broken(self, whole: Whole) -> Whole:
        """Half of the bytes."""
        size = len(whole.body)
        return replace(whole, body=whole.body[: size // 2], length=size) if size else whole


@FAULTS.register("missing_result")
@dataclass(kw_only=True)
class MissingResult(OfAnyCall):
    """What clients read without looking whether it is there."""

    _MAIN: ClassVar = ("result", "ids", "id", "name", "version", "max_batch_size", "nanosecond heartbeat")

    summary: ClassVar[str] = "200 without the main key: Qdrant's `result`, Chroma's `ids` (of a collection, `id`)."
    key: Annotated[str | None, Param("the key that is missing; none: the main one of the answer")] = None

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Take it out of the body."""
        edit_whole(plan, self, WholeRank.FIELDS, self._without)
        return True

    def _without(self, whole: Whole) -> Whole:
        body = _object(whole)
        key = next((one for one in ((self.key,) if self.key else self._MAIN) if one in body), None)
        if key is None:
            return whole
        del body[key]
        return replace(whole, body=json.dumps(body, separators=(",", ":")).encode())


def _object(whole: Whole) -> dict[str, Any]:
    """The body's members. The standard library's JSON reads and writes the NaN that another fault may have put there."""
    if whole.content_type != "application/json":
        return {}
    value = json.loads(whole.body)
    return value if isinstance(value, dict) else {}
