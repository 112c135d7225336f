"""Run directories: `runs/<scenario>/<utc>-<sha7>/`. The one place that knows their file names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record import views
from harness.record.blocks import OnDisk, Segment
from harness.record.events import ENDED, SCHEMA_VERSION, Event
from harness.record.frames import FrameError, FrameScan, NewerSchemaError
from harness.record.gaps import Gaps
from harness.record.history import History, Question
from harness.record.journal import JournalError, newer, read_journal
from harness.record.pieces import Requests
from harness.record.progress import UNTOLD, Progress
from harness.record.provider import CUT, ProviderJournal, read_journals
from harness.record.requests import ADDED, REQUEST_DTYPE

RUN_FILE = "run.json"


class RecordError(ValueError):
    """No run record there, or one that this program cannot read."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Where the parts of one run lie."""

    path: Path

    @property
    def run_file(self) -> Path:
        return self.path / RUN_FILE

    @property
    def scenario_file(self) -> Path:
        return self.path / "scenario.yaml"

    @property
    def events(self) -> Path:
        """Written by the harness process alone."""
        return self.path / "events.jsonl"

    @property
    def watchdog_events(self) -> Path:
        """Written by the watchdog alone."""
        return self.path / "events-watchdog.jsonl"

    @property
    def load_events(self) -> Path:
        """Written by the load process alone."""
        return self.path / "events-load.jsonl"

    @property
    def requests(self) -> Path:
        return self.path / "requests"

    @property
    def gaps(self) -> Path:
        """Inter-token latencies; the folder is made with the first."""
        return self.path / "gaps"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def targets(self) -> Path:
        """What an operator was told, or would have been: as targets.yaml, without addresses to speak to and without credentials."""
        return self.path / "targets.json"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def providers(self) -> Path:
        """What the mock providers saw: one file a service, written by the harness process alone; the folder is made with the first."""
        return self.path / "provider"

    def journalled(self) -> list[str]:
        """The services whose journals are there."""
        return sorted(file.stem for file in self.providers.glob("*.jsonl"))

    @property
    def questions(self) -> Path:
        """Truth about the questions: `{"documents": n, "questions": [{"id", "gold": [numbers], "answerable"}]}`."""
        return self.path / "questions.json"

    @property
    def verdict(self) -> Path:
        return self.path / "verdict.json"


def create(root: Path, scenario: str, at: datetime, revision: str) -> RunDirectory:
    """Make a fresh directory. `revision` is the short git SHA of the system under test, or `nogit`."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", scenario)
    stem = f"{at.strftime('%Y%m%dT%H%M%SZ')}-{revision}"
    for attempt in range(1000):
        path = root / name / (stem if attempt == 0 else f"{stem}.{attempt}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        directory = RunDirectory(path.resolve())
        for part in (directory.requests, directory.samples, directory.logs):
            part.mkdir()
        return directory
    raise RecordError(f"{root / name}: cannot make a fresh run directory")


def write_run_file(directory: RunDirectory, document: Mapping[str, Any]) -> None:
    """Write run.json; the first thing a run does."""
    text = json.dumps({"schema": SCHEMA_VERSION, **document}, indent=2, sort_keys=True, default=str)
    directory.run_file.write_text(text + "\n", encoding="utf-8")


def read(path: Path, *, live: bool = False, progress: Progress = UNTOLD) -> History:
    """Read a run record, also one that was cut in the middle.

    Of a run that still goes on (`live`): without the journals of providers, and nothing is damage, for what looks torn is being written.
    Tells `progress` the bytes that it has read. Raises RecordError when there is no run.json, or the schema is newer.
    """
    directory = RunDirectory(path.resolve())
    run = _read_run_file(directory)
    if progress is not UNTOLD:
        progress.begin(f"reading {directory.path.name}", _bulk(directory, live))
    damage: list[str] = []
    events = _read_events(directory, damage)
    requests, journeys = _read_requests(directory, damage, progress)
    gaps = Gaps.find(directory.gaps, damage, progress)
    questions, documents = _read_questions(directory, damage)
    providers = () if live else _read_providers(directory, events, damage, progress)
    return History(
        events=events,
        requests=requests,
        journeys=journeys,
        run=run,
        questions=questions,
        documents=documents,
        damage=() if live else tuple(damage),
        gaps=gaps,
        providers=providers,
    )


def _bulk(directory: RunDirectory, live: bool) -> int:
    """Bytes of all that grows with the number of requests."""
    files = [*directory.requests.glob("*.seg"), *directory.gaps.glob("*.seg"), *(() if live else directory.providers.glob("*.jsonl"))]
    return sum(file.stat().st_size for file in files)


def _read_run_file(directory: RunDirectory) -> dict[str, Any]:
    if not directory.run_file.is_file():
        raise RecordError(f"{directory.path}: no {RUN_FILE} here; give the directory of a run (`gauntlet list` shows them)")
    try:
        run = json.loads(directory.run_file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{directory.run_file}: {error}") from error
    if not isinstance(run, dict) or type(run.get("schema")) is not int:
        raise RecordError(f"{directory.run_file}: no run: it names no schema")
    if run["schema"] > SCHEMA_VERSION:
        raise RecordError(newer(directory.run_file, run["schema"]))
    return run


def _read_events(directory: RunDirectory, damage: list[str]) -> tuple[Event, ...]:
    """All events files merged by (time, file, line); events that make no sense are left out, and noted in `damage`."""
    keyed: list[tuple[int, int, int, Event]] = []
    for n, file in enumerate(sorted(directory.path.glob("events*.jsonl"))):
        try:
            found = list(read_journal(file, damage))
        except JournalError as error:
            raise RecordError(str(error)) from error
        damage.extend(f"{file.name}: {reason}" for e in found if (reason := views.unreadable(e)) is not None)
        damage.extend(f"{file.name}: {reason}" for reason in _lost(found))
        keyed.extend((e.t_ns, n, line, e) for line, e in enumerate(found) if views.unreadable(e) is None)
    return tuple(e for *_, e in sorted(keyed, key=lambda k: k[:3]))


def _lost(events: Sequence[Event]) -> Iterator[str]:
    """The last event of a whole record says how many came before it in its file."""
    for place, event in enumerate(events):
        counted = event.data.get("events", place) if event.kind == ENDED else place
        if counted != place:
            yield f"{place} events before the last one, which counted {counted}"


def _read_providers(directory: RunDirectory, events: Sequence[Event], damage: list[str], progress: Progress) -> tuple[ProviderJournal, ...]:
    """The journals of the mock providers. The last event of a whole record says whose there were; until then they are being written."""
    try:
        found = read_journals(directory.providers, progress)
    except JournalError as error:
        raise RecordError(str(error)) from error
    told = next((event.data.get("providers") for event in events if event.kind == ENDED), None)
    if isinstance(told, list):
        damage.extend(f"{journal.service}.jsonl: {CUT}" for journal in found if CUT in journal.missing)
        absent = {str(name) for name in told} - {journal.service for journal in found}
        damage.extend(f"{name}.jsonl: the journal is not there" for name in sorted(absent))
    return found


def _read_requests(directory: RunDirectory, damage: list[str], progress: Progress) -> tuple[Requests, tuple[str, ...]]:
    segments: list[Segment] = []
    journeys: list[str] = []
    for file in sorted(directory.requests.glob("*.seg")):
        try:
            scan = FrameScan(file)
            numbers = _numbers([str(name) for name in scan.header["journeys"]], journeys)
            # A field that a segment lacks would be read as zero, and an outcome of zero is `ok`.
            lacking = set(REQUEST_DTYPE.names or ()) - ADDED - set(scan.dtype.names or ())
            if lacking:
                raise FrameError(f"{file}: requests without {', '.join(sorted(lacking))}")
            segments.append(Segment.find(scan, numbers, progress))
            if scan.torn:
                damage.append(f"{file.name}: the last frame is torn")
        except NewerSchemaError as error:
            raise RecordError(str(error)) from error
        except (FrameError, KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            damage.append(f"{file.name}: {str(error).removeprefix(f'{file}: ')}")  # the verdict must not depend on where the record lies
    return Requests(OnDisk(segments)), tuple(journeys)


def _numbers(names: Sequence[str], known: list[str]) -> NDArray[np.uint8] | None:
    """The record's number of each journey of a segment, whose new ones join the `known`; None where both number them alike."""
    known.extend(name for name in names if name not in known)
    if known[: len(names)] == list(names):
        return None
    numbers = np.full(256, 255, dtype=np.uint8)
    numbers[: len(names)] = [known.index(name) for name in names]
    return numbers


def _read_questions(directory: RunDirectory, damage: list[str]) -> tuple[dict[int, Question], int]:
    if not directory.questions.exists():
        return {}, 0
    try:
        document = json.loads(directory.questions.read_text(encoding="utf-8"))
        questions = [Question(int(q["id"]), frozenset(q["gold"]), bool(q["answerable"])) for q in document["questions"]]
        return {q.id: q for q in questions}, int(document["documents"])
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        damage.append(f"{directory.questions.name}: {error}")
        return {}, 0
