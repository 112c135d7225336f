"""The table of fault types of the vector services, what `match` may ask of a call, and which calls a type concerns."""

from typing import ClassVar, get_args

from mocks.faults import body, connection, head, keep_alive
from mocks.faults.base import Registry
from mocks.faults.match import Criterion
from mocks.vector.call import OPERATIONS
from mocks.vector.plan import Kind, Product, VectorPlan

_PRODUCTS: frozenset[str] = frozenset(get_args(Product))
_KINDS: frozenset[str] = frozenset(get_args(Kind))
_OPERATIONS = frozenset(OPERATIONS)

FAULTS = Registry(
    {
        "operations": Criterion("what is asked for, in words of both products", "names", lambda facts: facts.operation, _OPERATIONS),
        "kinds": Criterion("reads, writes, or probes (versions, health, tenants)", "names", lambda facts: facts.kind, _KINDS),
        "products": Criterion("products, where one document is put to both", "names", lambda facts: facts.product, _PRODUCTS),
        "routes": Criterion("paths, their variable segments named: `/collections/{name}/points`", "names", lambda facts: facts.route),
        "collections": Criterion("names of collections", "names", lambda facts: facts.collection),
        "accounts": Criterion("accounts of the keys or tokens sent", "names", lambda facts: facts.account),
        "tenants": Criterion("tenants of the path (Chroma) or of the key (Qdrant)", "names", lambda facts: facts.tenant),
    }
)
"""Filled with what every mock can play, and by the modules beside this one."""
FAULTS.include(connection.TYPES, head.TYPES, keep_alive.TYPES, body.TYPES)


class OfOperations:
    """Concerns calls of some operations."""

    operations: ClassVar[frozenset[str]]

    def concerns(self, plan: VectorPlan) -> bool:
        """Whether it is one of them."""
        return plan.facts.operation in self.operations


class OfSearches(OfOperations):
    """Concerns searches."""

    operations = frozenset({"query"})


class OfPoints(OfOperations):
    """Concerns answers that hold points: searches, and points read by id, by filter or page by page."""

    operations = frozenset({"query", "get"})


class OfPointWrites(OfOperations):
    """Concerns changes of points."""

    operations = frozenset({"upsert", "update", "delete"})
