"""Settings of the whole suite, and how workers of pytest-xdist share one machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# An example may take as long as the machine needs, to be drawn and to be tried: a deadline would make a slow machine's test fail. The
# suite's timeout still ends a hang. The same examples are drawn each time, so that a change is judged by what it changes; by night, others.
settings.register_profile(
    "gauntlet",
    deadline=None,
    print_blob=True,
    derandomize="GAUNTLET_NIGHTLY" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("gauntlet")

# What is run by tests is no step of the workflow that runs the tests.
for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
    os.environ.pop(name, None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file stays with one worker, for the fixtures that its tests share; what wants the machine to itself comes last, one by one."""
    items.sort(key=_alone)
    for item in items:
        if _alone(item):
            item.add_marker(pytest.mark.xdist_group("alone"), append=False)
        elif item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """What measures, or breaks something on purpose, has the machine to itself. Its time limit begins when it has."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    with Path(__file__).open("rb") as machine:
        fcntl.flock(machine, fcntl.LOCK_EX if _alone(item) else fcntl.LOCK_SH)
        return (yield)


def _alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("e2e") is not None and item.get_closest_marker("beside") is None
