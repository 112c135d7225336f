"""The second version of a run that serves two: the base's stack with what the scenario changes of it."""

from __future__ import annotations

from pathlib import Path

from harness.lifecycle.systems import build_stack
from harness.scenario.model import Scenario, StackSpec
from harness.stack.base import Stack
from harness.stack.external import ENTRY

SIDE = "candidate"


def candidate_stack(scenario: Scenario, run_id: str, work_dir: Path, logs_dir: Path) -> Stack | None:
    """Not started; None for a run of one version. `work_dir` must be its own."""
    asked = scenario.compare.candidate if scenario.compare is not None else None
    if asked is None:
        return None
    logs = logs_dir / SIDE
    logs.mkdir(exist_ok=True)
    return build_stack(
        candidate_spec(scenario),
        run_id=run_id,
        work_dir=work_dir,
        logs_dir=logs,
        seed=scenario.seed,
        environment=asked.environment,
        version=asked.version,
        side=SIDE,
    )


def candidate_spec(scenario: Scenario) -> StackSpec:
    """The base's, with the changes."""
    spec = scenario.stack
    asked = scenario.compare.candidate if scenario.compare is not None else None
    if asked is None:
        return spec
    changes: dict[str, object] = {}
    if asked.replicas:
        changes["replicas"] = {**spec.replicas, **asked.replicas}
    if asked.vector_store is not None:
        changes["vector_store"] = asked.vector_store
    if asked.url is not None:
        entry = ENTRY if ENTRY in spec.by_url else next(iter(spec.by_url))
        url = spec.by_url[entry].model_copy(update={"url": asked.url, "health": None, "metrics": None})
        changes["services"] = {entry: url}
    return spec.model_copy(update=changes)


def split_block_s(scenario: Scenario) -> float:
    """Length of a block of time of one version; 0 where who is asked is drawn for each arrival."""
    return scenario.compare.block if scenario.compare is not None and scenario.compare.split == "blocks" else 0.0
