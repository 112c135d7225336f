"""Answers whose status says that all is well, and whose body does not."""

from dataclasses import dataclass
from random import Random
from typing import Annotated, Any, ClassVar

from mocks.faults.base import OfAnyCall
from mocks.faults.documents import Param
from mocks.faults.edits import edit_json
from mocks.vector.faults.registry import FAULTS
from mocks.vector.plan import VectorPlan


@FAULTS.register("missing_result")
@dataclass(kw_only=True)
class MissingResult(OfAnyCall):
    """What clients read without looking whether it is there."""

    _MAIN: ClassVar = ("result", "ids", "id", "name", "version", "max_batch_size", "nanosecond heartbeat")

    summary: ClassVar[str] = "200 without the main key: Qdrant's `result`, Chroma's `ids` (of a collection, `id`)."
    key: Annotated[str | None, Param("the key that is missing; none: the main one of the answer")] = None

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Take it out of the body."""
        edit_json(plan, self, self._without)
        return True

    def _without(self, body: dict[str, Any]) -> None:
        key = next((one for one in ((self.key,) if self.key else self._MAIN) if one in body), None)
        if key is not None:
            del body[key]
