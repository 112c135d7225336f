"""What the faults of one edge share: by which means the edge is broken, and how its callee answers there, and past that."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from harness.faults.base import Evidence, FaultError, Parameters, TargetedFault, Undo
from harness.faults.conversation import Talk
from harness.faults.edge_proxy import ProxyMeans
from harness.faults.edge_rules import Rule, RulesMeans
from harness.stack.base import Networked, Proxied, StackError


class Ways(Protocol):
    """Two ways to one instance of the callee: `through` what the caller's packets pass, and `past` it.

    `straight`: no forwarder lies on the way, which would make an end in order of a reset.
    """

    @property
    def straight(self) -> bool: ...

    def through(self, ask: bytes, patience_s: float) -> Talk:
        """One conversation as the caller would have it."""
        ...

    def several(self, ask: bytes, patience_s: float, times: int) -> Iterator[Talk]:
        """Up to so many of those, one after the other."""
        ...

    def past(self, ask: bytes, patience_s: float) -> Talk:
        """One that the fault does not touch."""
        ...


class Means(Protocol):
    """What an edge is broken by. Every method raises FaultError."""

    name: str  # as evidence calls it

    def undo(self) -> Sequence[Undo]: ...

    def set(self) -> None:
        """Break the edge; once is enough."""
        ...

    def clear(self) -> None:
        """Take it back; harmless where there is nothing."""
        ...

    def left(self) -> bool:
        """Whether anything of it is there, or anything is otherwise than before."""
        ...

    def touched(self) -> dict[str, Any]:
        """What it has touched so far, also of others."""
        ...

    def ways(self) -> Ways:
        """To an instance of the callee that answers. Raises FaultError when there is none."""
        ...


class EdgeFault(TargetedFault[Parameters]):
    """A fault between two services: an entry in the table of the edge's proxy, or, where it has none, rules in network namespaces.

    A subclass says which toxic it is (`document`), by which `rules` packets suffer the same, and looks at what a caller would notice.
    """

    @abstractmethod
    def document(self) -> Mapping[str, Any]:
        """The toxic as the proxy's admin API wants it, without its time to live."""

    def rules(self) -> Sequence[Rule]:
        """The same for packets; empty where only a proxy can do it."""
        return ()

    @abstractmethod
    def whole(self) -> Evidence | None:
        """One look at an edge that should be as good as any: evidence, or None while it is not."""

    @cached_property
    def means(self) -> Means:
        """The proxy where the stack was started with one on the edge, whose traffic then passes there; else rules, if they can do it."""
        stack, edge = self.context.stack, self.target.edge
        if edge is None:
            raise FaultError(f"{self.target.text} is no edge; write caller->callee")
        refused = f"{type(stack).__name__} is not Proxied; `gauntlet check` says which faults a stack can take"
        if isinstance(stack, Proxied):
            try:
                return ProxyMeans(stack.proxy(*edge), self.context, edge, self.document)
            except StackError as error:
                refused = str(error)
        rules = self.rules()
        if rules and isinstance(stack, Networked):
            return RulesMeans(stack, self.context, edge, rules)
        raise FaultError(refused)

    def undo(self) -> Sequence[Undo]:
        return self.means.undo()

    def inject(self) -> None:
        self.means.set()

    def heal(self) -> None:
        self.means.clear()

    def gone(self) -> Evidence | None:
        found = None if self.means.left() else self.whole()
        return None if found is None else {"means": self.means.name, **found}

    def touched(self) -> dict[str, Any]:
        """By what means the edge is broken, and what that has touched so far, also of others: connections, chunks, bytes, packets."""
        return {"means": self.means.name, **self.means.touched()}

    def ways(self) -> Ways:
        """To an instance of the callee that can be reached past the fault. Raises FaultError when there is none."""
        return self.means.ways()

    def callee_url(self) -> str:
        """Of any instance: its scheme and credentials hold for all."""
        return self.context.stack.instances(self.target.service)[0].url
