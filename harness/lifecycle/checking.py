"""Everything that can be said about a scenario file before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.faults.registry import BROKEN, catalog_of
from harness.lifecycle.compose_file import check_file_of
from harness.lifecycle.rule_files import check_rules_of
from harness.scenario.check import check
from harness.scenario.loader import Loaded, load_scenario
from harness.scenario.model import Driver
from harness.scenario.problem import Problem, ScenarioError
from harness.stack.catalog import info_for


def check_file(path: Path) -> list[Problem]:
    """All problems of a file, warnings included; empty when it is fine."""
    try:
        return check_loaded(load_scenario(path))
    except ScenarioError as error:
        return list(error.problems)


def check_loaded(loaded: Loaded) -> list[Problem]:
    """The semantic problems of a scenario that could be read."""
    try:
        info = info_for(loaded.scenario.stack)
    except ValueError as error:
        return [loaded.at(("stack",), str(error))]
    broken = [
        loaded.at(("faults", n, "type"), BROKEN[use.type], "repair or remove the distribution")
        for n, use in enumerate(loaded.scenario.faults)
        if use.type in BROKEN
    ]
    told = {(problem.line, problem.column) for problem in broken}
    found = [p for p in check(loaded, catalog_of(info.capabilities), info) if (p.line, p.column) not in told]
    return [*broken, *found, *check_file_of(loaded), *check_rules_of(loaded)]


def load_checked(path: Path, driver: Driver | None = None) -> tuple[Loaded, list[Problem]]:
    """A scenario that may be run, on that driver instead of its own if one is given, and its warnings. Raises ScenarioError."""
    loaded = load_scenario(path)
    if driver is not None:
        loaded = _driven(loaded, driver)
    problems = check_loaded(loaded)
    errors = [p for p in problems if p.severity == "error"]
    if errors:
        raise ScenarioError(errors)
    return loaded, problems


def load_all(paths: Sequence[Path], driver: Driver | None = None) -> tuple[list[Loaded], list[Problem]]:
    """Scenarios that may all be run, and their warnings. Raises one ScenarioError with what is wrong with any of them."""
    loaded: list[Loaded] = []
    errors: list[Problem] = []
    warnings: list[Problem] = []
    for path in paths:
        try:
            scenario, found = load_checked(path, driver)
        except ScenarioError as error:
            errors.extend(error.problems)
        else:
            loaded.append(scenario)
            warnings.extend(found)
    if errors:
        raise ScenarioError(errors)
    return loaded, warnings


def _driven(loaded: Loaded, driver: Driver) -> Loaded:
    """A scenario of a swarm runs on one machine, too: its nodes are then of no use."""
    stack = loaded.scenario.stack.model_copy(update={"driver": driver, **({} if driver == "swarm" else {"nodes": {}})})
    return replace(loaded, scenario=loaded.scenario.model_copy(update={"stack": stack}))
