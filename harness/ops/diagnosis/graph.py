"""Who calls whom."""

from __future__ import annotations

from collections.abc import Iterable


class Graph:
    """Directed caller -> callee graph; cycles are allowed."""

    def __init__(self, edges: Iterable[tuple[str, str]]) -> None:
        self._callees: dict[str, set[str]] = {}
        for caller, callee in edges:
            self._callees.setdefault(caller, set()).add(callee)
        self._declared = frozenset(self._callees)

    def observe(self, edges: Iterable[tuple[str, str]]) -> None:
        """Calls that were seen, of callers of which nothing is declared: who says whom he calls is believed."""
        for caller, callee in edges:
            if caller not in self._declared:
                self._callees.setdefault(caller, set()).add(callee)

    def services(self) -> frozenset[str]:
        """Everybody who calls or is called."""
        return frozenset(self._callees).union(*self._callees.values())

    def callees(self, service: str) -> frozenset[str]:
        """Direct callees."""
        return frozenset(self._callees.get(service, ()))

    def callers(self, service: str) -> frozenset[str]:
        """Direct callers, itself left out."""
        return frozenset(caller for caller, callees in self._callees.items() if service in callees and caller != service)

    def reachable(self, service: str) -> frozenset[str]:
        """Everything that `service` depends on, directly or through others; not itself unless on a cycle."""
        found: set[str] = set()
        frontier = set(self._callees.get(service, ()))
        while frontier:
            found |= frontier
            frontier = {c for s in frontier for c in self._callees.get(s, ())} - found
        return frozenset(found)
