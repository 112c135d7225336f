"""Histories written to disk as a run writes them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from harness.record import events as ev
from harness.record.frames import FrameWriter
from harness.record.history import History
from harness.record.journal import Journal
from harness.record.requests import REQUEST_DTYPE
from harness.record.store import RunDirectory, write_run_file


def save(directory: Path, scenario: str, told: History, frames: Iterable[NDArray[Any]] | None = None) -> RunDirectory:
    """One journal for each writer. `frames` are the requests, where they are too many to be in the history: one frame each."""
    shutil.rmtree(directory, ignore_errors=True)
    run = RunDirectory(directory)
    run.requests.mkdir(parents=True)
    run.scenario_file.write_text(scenario)
    write_run_file(run, {**told.run, "seed": 1, "scenario_file_sha256": sha256(scenario.encode()).hexdigest()})
    questions = [{"id": q.id, "gold": sorted(q.gold), "answerable": q.answerable} for q in told.questions.values()]
    if questions:
        run.questions.write_text(json.dumps({"documents": told.documents, "questions": questions}))
    for path, kinds in ((run.events, None), (run.load_events, {ev.LOAD}), (run.watchdog_events, {ev.WATCHDOG})):
        journal = Journal(path)
        for event in told.events:
            if event.kind in kinds if kinds else event.kind not in (ev.LOAD, ev.WATCHDOG):
                counted = {"events": journal.written} if event.kind == ev.ENDED else {}
                journal.append(replace(event, data={**event.data, **counted}))
        journal.close()
    segment = FrameWriter(run.requests / "load.seg", REQUEST_DTYPE, {"journeys": list(told.journeys)})
    for rows in told.requests.pieces() if frames is None else frames:
        segment.append(rows)
    segment.close()
    return run
