"""What every fault of every mock has."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, ClassVar, Protocol, TypeVar

from mocks.faults.match import Criterion

PlanT = TypeVar("PlanT", contravariant=True)


class Fault(Protocol[PlanT]):
    """One fault. A dataclass: its fields are its parameters, each annotated with `documents.Param`.

    Types and ranges follow from the annotations; construction raises ValueError for what those cannot say.
    """

    summary: ClassVar[str]
    """One line that says what a client sees."""

    def concerns(self, plan: PlanT) -> bool:
        """Whether it could change the answer to this call at all (a fault of streams, only one that is streamed)."""
        ...

    def apply(self, plan: PlanT, now_s: float, rng: Random) -> bool:
        """Change `plan` for a call that arrives at `now_s` (monotonic); whether the client's answer is any different for it.

        `rng` is seeded by the seed, the call's key and attempt, and the fault's id.
        """
        ...


class OfAnyCall:
    """Concerns every call."""

    def concerns(self, plan: object) -> bool:  # noqa: ARG002 - whatever it is
        """Always."""
        return True


_Kind = TypeVar("_Kind", bound=type)


class Registry(dict[str, type]):
    """The fault types of one mock by name, and what `match` of their documents may ask of a call."""

    def __init__(self, criteria: Mapping[str, Criterion] | None = None) -> None:
        super().__init__()
        self.criteria: Mapping[str, Criterion] = criteria or {}
        self.match_defaults: dict[str, Mapping[str, Any]] = {}
        """By type: the `match` of a document that says nothing else under the same key."""
        self.standing: set[str] = set()
        """Types that hold between calls (a refusing port): time alone decides on them."""
        self.of_pace: set[str] = set()
        """Types that change only when an answer of the service is due: who is refused does not feel them."""
        self.only: dict[str, Callable[[Any], bool]] = {}
        """By type that several mocks share: which plans it concerns here, where those are not all that it might."""

    def register(
        self, name: str, *, match: Mapping[str, Any] | None = None, standing: bool = False, of_pace: bool = False
    ) -> Callable[[_Kind], _Kind]:
        """Class decorator: make a type known to the admin API as `name`."""

        def add(kind: _Kind) -> _Kind:
            if name in self:
                raise ValueError(f"two fault types are called {name}")
            self[name] = kind
            self.match_defaults[name] = match or {}
            if standing:
                self.standing.add(name)
            if of_pace:
                self.of_pace.add(name)
            return kind

        return add

    def include(self, *shared: "Registry", only: Callable[[Any], bool] | None = None) -> None:
        """Make all types of these registries known here too; where `only` is given, they concern the plans of which it is true."""
        for registry in shared:
            for name, kind in registry.items():
                standing, of_pace = name in registry.standing, name in registry.of_pace
                self.register(name, match=registry.match_defaults[name], standing=standing, of_pace=of_pace)(kind)
                if only is not None:
                    self.only[name] = only
