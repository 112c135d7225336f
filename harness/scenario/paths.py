"""Which services the requests of a journey pass through, and which journeys belong to a scope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.scenario.indicator import Scope
from harness.scenario.model import Scenario

# Which services a journey of the reference stack passes through (docs/reference-stack.md).
_STORES = frozenset({"postgres", "cache", "vector"})
_ASKING = _STORES | {"gateway", "user", "query", "embedding", "retrieval", "generation", "llm", "llm_fallback"}
REFERENCE_PATHS: Mapping[str, frozenset[str]] = {
    "ask": _ASKING,
    "ask_stream": _ASKING,
    "search": _STORES | {"gateway", "user", "query", "embedding", "retrieval", "llm"},
    "ingest": _STORES | {"gateway", "user", "document", "embedding", "llm"},
}


def path_of(journey: str, scenario: Scenario) -> frozenset[str] | None:
    """Services that a journey passes through; None when nobody knows."""
    if journey in scenario.load.journeys:
        found, frontier = set[str](), {scenario.load.journeys[journey].service}
        while frontier:
            found |= frontier
            frontier = {callee for caller, callee in scenario.stack.edges if caller in frontier} - found
        return frozenset(found)
    if scenario.stack.use != "reference" or journey not in REFERENCE_PATHS:
        return None
    return REFERENCE_PATHS[journey] | (frozenset({"ingress"}) if scenario.stack.tls else frozenset())


def journeys_of(scope: Scope, scenario: Scenario, journeys: Iterable[str]) -> frozenset[str]:
    """Those of the journeys whose requests belong to the scope."""
    return frozenset(name for name in journeys if _belongs(scope, scenario, name))


def _belongs(scope: Scope, scenario: Scenario, journey: str) -> bool:
    match scope.by:
        case "route":
            return journey == scope.name
        case "service":
            return scope.name in (path_of(journey, scenario) or ())
        case "tenant":
            own = scenario.load.journeys.get(journey)
            return own is not None and own.tenant == scope.name
