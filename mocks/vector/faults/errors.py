"""Errors in each product's own words, or in those of a gateway before it."""

import math
from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar, Literal

from mocks.faults.base import OfAnyCall
from mocks.faults.documents import Param
from mocks.vector.chroma.errors import by_status
from mocks.vector.faults.registry import FAULTS, OfOperations
from mocks.vector.plan import Product, VectorError, VectorFacts, VectorPlan, Whole

_MESSAGES: dict[tuple[Product, int], str] = {
    ("qdrant", 400): "Wrong input: the request cannot be carried out",
    ("qdrant", 404): "Not found: Collection `{collection}` doesn't exist!",
    ("qdrant", 408): "Timeout error: Operation 'Search' timed out after 60 seconds",
    ("qdrant", 429): "Rate limiting exceeded: Read rate limit exceeded, retry later",
    ("qdrant", 500): "Service internal error: task panicked while holding a segment",
    ("qdrant", 503): "Service internal error: Shard 0 is not available",
    ("chroma", 400): "Validation error: the request cannot be carried out",
    ("chroma", 404): "Collection [{collection}] does not exist.",
    ("chroma", 408): "Request timed out",
    ("chroma", 429): "You have been rate limited.",
    ("chroma", 500): "Error executing plan: Internal error: Error reading from the vector segment",
    ("chroma", 503): "Service unavailable",
}
_REASONS = {502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}


def service_error(product: Product, status: int, message: str) -> VectorError:
    """An error under the name that the product gives to its status."""
    return by_status(status, message) if product == "chroma" else VectorError(status, message)


@FAULTS.register("service_error")
@dataclass(kw_only=True)
class ServiceError(OfAnyCall):
    """The service answers, and refuses. With `quota` it is a rate limit, with `window` an outage."""

    summary: ClassVar[str] = "An error in the product's own words: 400, 404, 408, 429, 500 or 503, with `Retry-After` where it is told."
    status: Annotated[Literal[400, 404, 408, 429, 500, 503], Param("status to answer")] = 500
    after_s: Annotated[float, Param("how long the client is kept waiting", "s", least=0)] = 0.0
    retry_after_s: Annotated[float | None, Param("`Retry-After` to send, rounded up", "s", least=0)] = None

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Refuse."""
        facts = plan.facts
        error = service_error(facts.product, self.status, _message(facts, self.status))
        if self.retry_after_s is not None:
            error.headers = {"retry-after": str(math.ceil(self.retry_after_s))}
        plan.error = error
        plan.decided_after_s = self.after_s
        return True


@FAULTS.register("dimension_error")
@dataclass(kw_only=True)
class DimensionError(OfOperations):
    """What a changed embedding model brings about: everything is well formed, and nothing fits."""

    operations = frozenset({"query", "upsert", "update"})

    summary: ClassVar[str] = "400: vectors of `got` dimensions do not fit a collection of `expected`."
    expected: Annotated[int, Param("dimensions that the collection is said to have", "dimensions", least=1)] = 768
    got: Annotated[int, Param("dimensions that the vectors are said to have", "dimensions", least=0)] = 1024

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Refuse."""
        product = plan.facts.product
        message = (
            f"Collection expecting embedding with dimension of {self.expected}, got {self.got}"
            if product == "chroma"
            else f"Wrong input: Vector dimension error: expected dim: {self.expected}, got {self.got}"
        )
        plan.error = service_error(product, 400, message)
        return True


@FAULTS.register("gateway_error")
@dataclass(kw_only=True)
class GatewayError(OfAnyCall):
    """A proxy speaks in the service's place, and speaks no JSON."""

    summary: ClassVar[str] = "502, 503 or 504 with a gateway's page, or text, or nothing: no product's words."
    status: Annotated[Literal[502, 503, 504], Param("status to answer")] = 503
    after_s: Annotated[float, Param("how long the client is kept waiting", "s", least=0)] = 0.0
    body: Annotated[Literal["html", "text", "empty"], Param("what the gateway says")] = "html"

    def apply(self, plan: VectorPlan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Let the gateway speak."""
        line = f"{self.status} {_REASONS[self.status]}"
        page = f"<html>\r\n<head><title>{line}</title></head>\r\n<body>\r\n<center><h1>{line}</h1></center>\r\n</body>\r\n</html>\r\n"
        said = {"html": page, "text": "upstream connect error or disconnect/reset before headers", "empty": ""}[self.body]
        kind = "text/html" if self.body == "html" else "text/plain"
        plan.instead = Whole(said.encode(), self.status, kind)
        plan.decided_after_s = self.after_s
        return True


def _message(facts: VectorFacts, status: int) -> str:
    return _MESSAGES[facts.product, status].format(collection=facts.collection or "unknown")
