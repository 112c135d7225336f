"""A look at the rule files that a scenario gives to its operator, before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.scenario.loader import Loaded
from harness.scenario.problem import Problem


def check_rules_of(loaded: Loaded) -> Iterator[Problem]:
    """What cannot be evaluated in them, with its own place; what could never fire while a fault is active, as warnings."""
    for n, file in enumerate(loaded.scenario.operator.rules):
        if not Path(file).is_file():
            where = ("operator", "rules", n)
            yield loaded.at(where, f"there is no file {file!r} in {Path.cwd()}", "write its path from where gauntlet is started")
        else:
            yield from _check(loaded, Path(file), n)


def _check(loaded: Loaded, file: Path, n: int) -> Iterator[Problem]:
    from harness.ops.alerting.rules.checking import check
    from harness.ops.alerting.rules.reading import RulesError, read

    scenario = loaded.scenario
    try:
        groups = read(file)
    except RulesError as error:
        yield from (Problem(place.file, place.line, place.column, text) for place, text in error.problems)
        return
    except ImportError:
        where = ("operator", "rules", n)
        yield loaded.at(where, "the rules cannot be read here, and no run can start", "pip install 'rag-gauntlet[run]'", "warning")
        return
    phases = {str(name): length_s for name, length_s in scenario.phases.items()}
    lasts_s = max((use.for_s or phases.get(use.phase, 0.0) for use in scenario.faults), default=None)
    for one in check(groups, time_scale=scenario.time_scale, lasts_s=lasts_s or None):
        yield Problem(one.place.file, one.place.line, one.place.column, one.message, one.hint, "warning")
