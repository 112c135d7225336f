"""Where the parts of one run of a pipeline lie: `runs/pipelines/<name>/<utc>-<sha7>/`. The one place that knows their names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.record.journal import JournalError, newer
from harness.record.store import RecordError

SCHEMA_VERSION = 1
FOLDER = "pipelines"  # under the folder of run records
RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True)
class PipelineDirectory:
    """One run. The steps' own folders and logs lie in one folder a stage."""

    path: Path

    @property
    def run_file(self) -> Path:
        return self.path / RUN_FILE

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    def evidence(self, stage: str, step: str) -> Path:
        """The folder that is a step's own."""
        return self.path / stage / step

    def log(self, stage: str, step: str) -> Path:
        """All that a step and its programs printed."""
        return self.path / stage / f"{step}.log"

    def answer(self, stage: str, step: str) -> Path:
        """What a step answered."""
        return self.path / stage / f"{step}.json"

    def write_run_file(self, document: Mapping[str, Any]) -> None:
        """The first thing a run does."""
        text = json.dumps({"schema": SCHEMA_VERSION, **document}, indent=2, default=str)  # the order of stages is that of the file
        self.run_file.write_text(text + "\n", encoding="utf-8")

    def read_run_file(self) -> dict[str, Any]:
        """Raises RecordError."""
        if not self.run_file.is_file():
            raise RecordError(f"{self.path}: no {RUN_FILE} here; give the directory of a run of a pipeline")
        try:
            run = json.loads(self.run_file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RecordError(f"{self.run_file}: {error}") from error
        if not isinstance(run, dict) or type(run.get("schema")) is not int or "pipeline" not in run:
            raise RecordError(f"{self.run_file}: no run of a pipeline")
        if run["schema"] > SCHEMA_VERSION:
            raise RecordError(str(JournalError(newer(self.run_file, run["schema"]))))
        return run


def create(out: Path, name: str, at: datetime, revision: str) -> PipelineDirectory:
    """Make a fresh one. `revision` is the short git SHA, or `nogit`. Raises RecordError."""
    stem = f"{at.strftime('%Y%m%dT%H%M%SZ')}-{revision}"
    for attempt in range(1000):
        path = out / FOLDER / name / (stem if attempt == 0 else f"{stem}.{attempt}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return PipelineDirectory(path.resolve())
    raise RecordError(f"{out / FOLDER / name}: cannot make a fresh directory")


def earlier(out: Path, name: str) -> Iterator[PipelineDirectory]:
    """Runs of the pipeline, newest first."""
    files = (out / FOLDER / name).glob(f"*/{RUN_FILE}")  # each is written once
    for file in sorted(files, key=lambda one: (one.stat().st_mtime_ns, str(one)), reverse=True):
        yield PipelineDirectory(file.parent.resolve())
