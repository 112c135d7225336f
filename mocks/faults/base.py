"""What every fault of every mock has."""

from collections.abc import Callable
from random import Random
from typing import ClassVar, Protocol, TypeVar

PlanT = TypeVar("PlanT", contravariant=True)


class Fault(Protocol[PlanT]):
    """One fault. A dataclass: its fields are its parameters; construction raises ValueError where one is out of range."""

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


_Kind = TypeVar("_Kind", bound=type)


class Registry(dict[str, type]):
    """The fault types of one mock by name."""

    def register(self, name: str) -> Callable[[_Kind], _Kind]:
        """Class decorator: make a type known to the admin API as `name`."""

        def add(kind: _Kind) -> _Kind:
            if name in self:
                raise ValueError(f"two fault types are called {name}")
            self[name] = kind
            return kind

        return add
