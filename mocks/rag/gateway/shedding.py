"""Load shedding: refuse a share of the questions, so that the rest is served."""

from __future__ import annotations

from mocks.rag.common.registry import Registry


class Shedder:
    """Refuses `shed_ratio` (a setting of the registry, 0 to 1) of the requests, evenly spread instead of drawn by lot."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._debt = 0.0

    def refuses(self) -> bool:
        """Whether the request at hand is refused."""
        ratio = float(self._registry.setting("shed_ratio", 0.0))
        self._debt = self._debt + ratio if ratio else 0.0
        if self._debt < 1.0:
            return False
        self._debt -= 1.0
        return True
