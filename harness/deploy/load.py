"""Load during a deploy: the users, whom the switch must not touch, and what is asked of versions beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.deploy.site import Side
from harness.lifecycle.questions import question_truth
from harness.load import plan as load_plan
from harness.load.driver import LoadProcess
from harness.record import store
from harness.record.clock import NS_PER_S, Clock
from harness.scenario.model import LoadSpec

READY_S = 30.0
LEAD_S = 0.3


@dataclass(frozen=True, slots=True)
class Asking:
    """What a load is: whom it asks, and how much. `beside` is the version that gets every other request."""

    url: str
    rate: float  # per second
    length_s: float
    mix: Mapping[str, float]
    timeout_s: float
    beside: str | None = None


@contextmanager
def asking(
    asked: Asking, side: Side, directory: store.RunDirectory, work_dir: Path, keys: str, run_id: str, seed: int, clock: Clock
) -> Iterator[LoadProcess]:
    """A load process that was told to begin; it is stopped afterwards. `keys` is the key of both versions. Raises LoadError."""
    work_dir.mkdir(parents=True, exist_ok=True)
    directory.questions.write_text(json.dumps(question_truth(side.corpus, side.questions)), encoding="utf-8")
    files = load_plan.LoadFiles(directory.requests, directory.load_events, questions_file=side.questions, corpus_file=side.corpus)
    spec = LoadSpec.model_validate(
        {"shape": [{"constant": f"{asked.rate:g}/s"}], "mix": dict(asked.mix), "timeout": f"{asked.timeout_s:g}s", "engine": "asyncio"}
    )
    planned = load_plan.build(
        spec,
        files,
        run_id=run_id,
        duration_s=asked.length_s,
        seed=seed,
        base_url=asked.url,
        service_urls={},
        preferred_model=side.preferred_model,
        candidate_url=asked.beside,
    )
    load = LoadProcess(planned, work_dir, keys, clock, keys if asked.beside is not None else None)
    try:
        load.start()
        load.wait_ready(READY_S)
        load.begin(clock.now_ns() + round(LEAD_S * NS_PER_S))
        yield load
    finally:
        load.stop()


def beside_record(directory: store.RunDirectory) -> store.RunDirectory:
    """A record within the record, of a load that no user sent."""
    directory.requests.mkdir(parents=True)
    store.write_run_file(directory, {})
    return directory
