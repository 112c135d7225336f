"""Scenario files as tests: one for the verdict, one for each check. The run itself is made when the first of them needs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.testing.proof import CheckFailedError, InconclusiveError
from harness.testing.running import ScenarioRun
from harness.testing.session import Session

VERDICT = "verdict"
SESSION: pytest.StashKey[Session] = pytest.StashKey()


class ScenarioFile(pytest.File):
    """A scenario, checked while tests are collected: what is wrong with it is an error of collection, with line and column."""

    def collect(self) -> Iterator[ScenarioCheck]:
        """The checks that its verdict will have, found by judging an empty record."""
        from harness.judging import check_names
        from harness.lifecycle.checking import load_checked
        from harness.report.places import Places
        from harness.scenario.problem import ScenarioError

        try:
            loaded, _ = load_checked(self.path, self.config.stash[SESSION].options.driver)
        except ScenarioError as error:
            raise self.CollectError(str(error)) from error
        places = Places(loaded)
        for name in (VERDICT, *check_names(loaded.scenario)):
            item: ScenarioCheck = ScenarioCheck.from_parent(self, name=name, line=places.line(name))
            if self.config.pluginmanager.hasplugin("xdist"):  # with --dist loadgroup, one worker has them all
                item.add_marker(pytest.mark.xdist_group(f"gauntlet {self.path.name}"))
            yield item


class ScenarioCheck(pytest.Item):
    """One check: PASS and WARN pass, FAIL is a failure, INCONCLUSIVE an error, and what was never judged is skipped."""

    def __init__(self, *, line: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._line = line

    def runtest(self) -> None:
        run = self.config.stash[SESSION].run_once(self.path)
        if self.name == VERDICT:
            run.assert_passes()
        elif self.name in run.checks:
            run.assert_check(self.name)
        else:
            self._never_judged(run)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self._line - 1, f"{self.path.name}: {self.name}"  # a name alone would lose its dots on the terminal

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Our own errors say everything; where they were raised is of no use to anybody."""
        if isinstance(excinfo.value, CheckFailedError | InconclusiveError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def _never_judged(self, run: ScenarioRun) -> None:
        """Skipped where the verdict, which is then an error, is among the tests: else the session would pass by this."""
        reason = f"{self.name} was not judged: {run.reason}"
        told = any(isinstance(item, ScenarioCheck) and item.path == self.path and item.name == VERDICT for item in self.session.items)
        if not told or run.exit_code == 0:
            raise InconclusiveError(reason)
        pytest.skip(reason)
