"""What end-to-end tests share."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.live_run import STACK, LiveRun

StartRun = Callable[..., LiveRun]
CROWDED = 3.0


def short_directory() -> Path:
    """A temporary directory that a database of another user may pass through, with a name short enough for socket paths."""
    path = Path(tempfile.mkdtemp(prefix="e2e-"))
    path.chmod(0o711)
    return path


@pytest.fixture
def tmp() -> Iterator[Path]:
    """TMPDIR of everything that one test starts."""
    path = short_directory()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start_run(tmp: Path) -> Iterator[StartRun]:
    """Starts `gauntlet run` on the text of a scenario; whatever is left of it is ended after the test."""
    runs: list[LiveRun] = []

    def start(scenario: str, *arguments: str) -> LiveRun:
        place = tmp / f"r{len(runs)}"
        place.mkdir(mode=0o711)
        runs.append(LiveRun(scenario, place, *arguments))
        return runs[-1]

    yield start
    for run in runs:
        run.end()


PASSING = f"""
name: one-of-two-hangs
hypothesis: When one of two retrieval instances hangs, users are still served by the other.
{STACK}
load: {{shape: [{{constant: 20/s}}], mix: {{ask: 2, ask_stream: 1}}, timeout: 5s}}
phases: {{warmup: 4s, steady_state: 6s, fault: 6s, recovery: 3s}}
faults:
  - {{id: hangs, type: process.pause, target: retrieval-2, at: fault, for: 5s}}
objectives:
  steady_state: {{availability: ">= 95%"}}
  fault: {{availability: ">= 80%", answered: ">= 70%"}}
  recovery: {{availability: ">= 80%"}}
"""


@pytest.fixture(scope="session")
def passing_run() -> Iterator[LiveRun]:
    """A whole run of the reference stack with one fault, carried out once."""
    with finished_run() as run:
        yield run


@contextmanager
def finished_run(*arguments: str, text: str = PASSING, within_s: float = 90.0) -> Iterator[LiveRun]:
    """A scenario with these arguments, carried out; again where the machine was too busy for its generator, or for its stack."""
    for last in (False, False, True):
        place = short_directory()
        run = LiveRun(text, place, "--json", *arguments)
        try:
            _, out = run.finish(within_s)
            if last or not too_busy(out):
                yield run
                return
        finally:
            run.end()
            shutil.rmtree(place, ignore_errors=True)


def too_busy(out: str) -> bool:
    """By the run's own word, or by the machine's where the run did not pass: others want several times what there is."""
    if (json.loads(out) if out else {}).get("verdict") != "PASS" and os.getloadavg()[0] > CROWDED * (os.cpu_count() or 1):
        return True
    return machine_was_unsteady(out)


def machine_was_unsteady(out: str) -> bool:
    """By the run's own word: its generator was late, or its steady state was none."""
    checks = (json.loads(out) if out else {}).get("checks", [])
    unclear = [c for c in checks if c["status"] == "INCONCLUSIVE"]
    return any(c["name"].startswith("validity.delivered_load") or "not stationary" in (c["reason"] or "") for c in unclear)
