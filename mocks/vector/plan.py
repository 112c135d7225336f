"""How one call to a vector service is going to be answered: what the profile drew, and what faults make of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from mocks.http.message import Cut
from mocks.vector.collection import Payload, PointId
from mocks.vector.history import Past
from mocks.vector.index import Floats

Product = Literal["qdrant", "chroma"]
Kind = Literal["read", "write", "probe"]
"""`read` and `write` concern points and collections; `probe` is everything else (versions, health, identity)."""


@dataclass(frozen=True, slots=True)
class VectorFacts:
    """What is known of a call when faults decide on it.

    `operation` is the same word for both products where they do the same thing (`mocks.vector.call.OPERATIONS`); `route` is the path with
    its variable segments named, `/collections/{name}/points/query`. `key` identifies the request: equal ones have equal keys; `attempt`
    counts its arrivals from 1, so that what is drawn for a repetition is drawn anew. `collection` is the name that the caller knows.
    """

    product: Product
    operation: str
    kind: Kind
    route: str
    key: str
    attempt: int = 1
    collection: str | None = None
    account: str | None = None
    tenant: str | None = None
    in_flight: int = 1


@dataclass(frozen=True, slots=True)
class Hit:
    """One found or read point before it is encoded. `score` is None where nothing was scored (retrieve, scroll, get).

    `payload` is the whole of it (Chroma: the metadata), also where the caller asked for less: that is taken out when it is encoded.
    `vectors` go by name, and are there where they were asked for. `document` is Chroma's; Qdrant's text lies in the payload.
    """

    id: PointId
    score: float | None
    payload: Payload | None
    vectors: Mapping[str, Floats]
    document: str | None = None
    version: int = 0


Hits = list[Hit]


class Others(Protocol):
    """What else the collection could have answered to one query, for faults that answer wrongly. Every call is a search: ask for little."""

    def nearest(self, k: int, *, filtered: bool = True) -> Hits:
        """The true best `k`; `filtered` false disregards the caller's filter (another tenant's points come along)."""
        ...

    def farthest(self, k: int, *, filtered: bool = True) -> Hits:
        """The worst `k`, worst first: what no honest search returns."""
        ...

    def behind(self, k: int) -> Hits:
        """The true `k` that follow those of the answer."""
        ...

    def before(self, id: PointId, keys: Sequence[str]) -> Past | None:
        """What a point held before it was last replaced (`Collection.before`); None where it never was."""
        ...


class HitEdit(NamedTuple):
    """A change of result lists: every list of the answer goes through `change`; with `searches`, only those that a search has ranked."""

    change: Callable[[Hits, Others], Hits]
    searches: bool = True


@dataclass(slots=True)
class Whole:
    """An answer in one piece. `length` is the Content-Length to declare where it is not the body's."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    length: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class VectorError(Exception):
    """An error that the service answers, in one product's words: `message` is complete but for its envelope.

    `name` is Chroma's error type (`NotFoundError`); Qdrant has none.
    """

    status: int
    message: str
    name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class VectorPlan:
    """Faults change it before anything is done; seconds count from the arrival of the request. `headers` go with any answer.

    In this order: `before`, `instead` and `error` take the place of everything, the operation included. Otherwise the operation is carried
    out on arrival, its result lists and body are edited, and the answer leaves when it is due; or `after` takes the answer's place.
    """

    facts: VectorFacts
    delay_s: float = 0.0
    """What the profile drew for the operation."""
    slowed_s: float = 0.0
    """What faults add to whatever comes, a refusal too."""
    headers: dict[str, str] = field(default_factory=dict)
    error: VectorError | None = None
    instead: Whole | None = None
    before: Cut | Literal["hang"] | None = None
    """What the connection does in the place of an answer; the operation is not carried out."""
    decided_after_s: float = 0.0
    """How long `error`, `instead` or `before` keep the client waiting."""
    after: Cut | Literal["hang"] | None = None
    """The same, but the operation has been carried out: a lost acknowledgement."""
    cut_next: Cut | None = None
    """Cut the connection when it is used again."""
    headers_take_s: float = 0.0
    """Trickle the head of the answer over that long."""
    visible_after_s: float = 0.0
    """When what a write changed can be read, after it was acknowledged; infinite: never, it is lost. Writes must be valid all the same."""
    renew: Callable[[], None] | None = None
    """Before the operation, the collection gets another id, as if it had been recreated and filled again; then this is called."""
    hit_edits: list[HitEdit] = field(default_factory=list)
    body_edits: list[Callable[[Any], Any]] = field(default_factory=list)
    """Changes of the answer's JSON value before it is put into its envelope and encoded."""
    whole_edits: list[Callable[[Whole], Whole]] = field(default_factory=list)
    void: list[object] = field(default_factory=list)
    """Faults that have changed nothing about this answer (yet): once it is made, `FaultTable.retract` takes them back."""

    @property
    def decided(self) -> bool:
        """Whether the operation will not be carried out."""
        return self.error is not None or self.instead is not None or self.before is not None

    @property
    def due_s(self) -> float:
        """How long after the arrival the client is answered, or cut off."""
        return (self.decided_after_s if self.decided else self.delay_s) + self.slowed_s
