"""`gauntlet check`: everything that can be said against a scenario before anything is started."""

from __future__ import annotations

from harness.scenario.catalog import StackInfo
from harness.scenario.checks.burn import check_burn_rates
from harness.scenario.checks.expect import check_expectations
from harness.scenario.checks.faults import Catalog, check_faults
from harness.scenario.checks.objectives import check_objectives
from harness.scenario.checks.policy import check_abort, check_anything_asserted, check_gate
from harness.scenario.checks.probes import check_probes
from harness.scenario.checks.reliability import check_reliability
from harness.scenario.checks.shape import readable
from harness.scenario.checks.system import check_load, check_stack
from harness.scenario.checks.versions import check_versions
from harness.scenario.loader import Loaded
from harness.scenario.problem import Problem


def check(loaded: Loaded, catalog: Catalog, stack: StackInfo) -> list[Problem]:
    """Problems in the order of the file. Errors forbid the run, warnings do not; an empty list is a clean scenario.

    `catalog` holds the faults that exist, by name; `stack` is what the chosen stack declares of itself.
    """
    system = [*check_stack(loaded, stack)]
    if loaded.scenario.stack.use != "reference" and not loaded.scenario.stack.services:
        return system  # without services, every target and journey would be reported once more
    of_load = [*check_load(loaded, stack)]
    if not readable(loaded):
        return [*system, *of_load]  # how many arrivals there are is not known
    problems = [
        *system,
        *of_load,
        *check_faults(loaded, catalog, stack),
        *check_expectations(loaded, catalog, stack),
        *check_objectives(loaded, stack),
        *check_burn_rates(loaded, stack),
        *check_probes(loaded, stack),
        *check_reliability(loaded, stack),
        *check_abort(loaded, stack),
        *check_gate(loaded),
        *check_versions(loaded, stack),
        *check_anything_asserted(loaded),
    ]
    return sorted(problems, key=lambda p: (p.line, p.column, p.message))
