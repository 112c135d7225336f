"""What a product makes of a request, before faults and latency: the same interface for both products."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mocks.http.message import Request
from mocks.vector.encoding import Encode, strict
from mocks.vector.plan import Hits, Kind, Others, Product, VectorError, Whole

OPERATIONS: dict[str, Kind] = {
    # points
    "query": "read",
    "get": "read",
    "count": "read",
    "upsert": "write",
    "update": "write",
    "delete": "write",
    # collections
    "collection_create": "write",
    "collection_delete": "write",
    "collection_update": "write",
    "collection_get": "read",
    "collection_list": "read",
    # everything else
    "probe": "probe",
}
"""What a call does, in words that hold for both products, and its kind. `get` reads points by id or page by page; `update` changes parts
of points that exist, and Qdrant's batches of writes."""


@dataclass(slots=True)
class Outcome:
    """What an operation came to. `body` makes the JSON value (or text, by `content_type`) of the answer from the result lists.

    `lists` holds one list of hits for every query, `others` what else each could have answered; both are empty where the answer holds no
    points. `commit` makes the changes of a valid write; only then `body` is called.
    """

    body: Callable[[list[Hits]], Any]
    lists: list[Hits] = field(default_factory=list)
    others: Sequence[Others] = ()
    searches: bool = False
    """Whether the lists are ranked by a search."""
    commit: Callable[[], None] | None = None
    status: int = 200
    content_type: str = "application/json"
    bare: bool = False
    """Whether the body goes without the product's envelope."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose route is known. `perform` checks and carries it out, except for `Outcome.commit`; it raises VectorError."""

    operation: str
    route: str
    perform: Callable[[], Outcome]
    collection: str | None = None
    account: str | None = None
    tenant: str | None = None
    path: str | None = None
    """The path with names for ids that the service has drawn, so that equal requests are equal in every process; None: as it was sent."""

    @property
    def kind(self) -> Kind:
        """Whether it reads, writes or probes."""
        return OPERATIONS[self.operation]


class Service(Protocol):
    """One product's interface over a store."""

    name: Product

    def call(self, request: Request) -> Call:
        """The call that a request asks for. Raises VectorError where there is no such route."""
        ...

    def renew(self, call: Call) -> bool:
        """Give the collection of a call another id; whether clients have one of their own to lose, and there is such a collection."""
        ...

    def answer(self, body: Any, status: int, took_s: float, encode: Encode = strict) -> Whole:
        """A JSON value as this product sends it; `took_s` is the time that it says it took."""
        ...

    def refusal(self, error: VectorError, took_s: float) -> Whole:
        """An error in this product's words."""
        ...
