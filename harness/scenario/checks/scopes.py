"""Scopes of objectives: routes, services and tenants that the load has requests of."""

from __future__ import annotations

from collections.abc import Iterator

from harness.scenario.catalog import StackInfo
from harness.scenario.indicator import Indicator, Scope
from harness.scenario.loader import Loaded
from harness.scenario.model import Scenario
from harness.scenario.paths import journeys_of
from harness.scenario.problem import KeyPath, Problem, did_you_mean


def loaded_journeys(scenario: Scenario) -> frozenset[str]:
    """Journeys that some stretch of the load asks for."""
    return frozenset(name for segment in scenario.load.shape for name in (segment.mix or scenario.load.mix))


def scoped(scope: Scope | None, scenario: Scenario) -> frozenset[str] | None:
    """The journeys of a scope; None for all."""
    return None if scope is None else journeys_of(scope, scenario, loaded_journeys(scenario))


def check_scope(loaded: Loaded, stack: StackInfo, of: Indicator, where: KeyPath) -> Iterator[Problem]:
    """An objective of what nobody asks for could only be INCONCLUSIVE."""
    scope, scenario = of.scope, loaded.scenario
    if scope is None or scoped(scope, scenario):
        return
    if scope.by == "route":
        hint = did_you_mean(scope.name, loaded_journeys(scenario))
        yield loaded.at_key(where, f"the load has no journey {scope.name!r}", hint)
    elif scope.by == "tenant":
        tenants = {journey.tenant for journey in scenario.load.journeys.values() if journey.tenant}
        hint = did_you_mean(scope.name, tenants) if tenants else f"add `tenant: {scope.name}` to a journey of `load.journeys`"
        yield loaded.at_key(where, f"no journey of the load belongs to tenant {scope.name!r}", hint)
    elif scope.name not in stack.services:
        yield loaded.at_key(where, f"the stack {stack.name!r} has no service {scope.name!r}", did_you_mean(scope.name, stack.services))
    else:
        message = f"no journey of the load is known to pass through {scope.name!r}"
        yield loaded.at_key(where, message, "add one to `mix`, name its `service`, or list who calls whom in `stack.edges`")
