"""Records of every schema version are judged as they were when they were written, also with what a newer program adds to them.

`tests/records/schema-<n>.tar.xz` holds one real run of each version, with the verdict of its day, less its logs and metric samples.
Whoever raises `SCHEMA_VERSION` adds one: `tar --sort=name -C runs/<scenario> -cJf tests/records/schema-<n>.tar.xz schema-<n>`.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.judging import judge_run
from harness.record import events as ev
from harness.record.events import SCHEMA_VERSION
from harness.record.frames import FrameScan, FrameWriter, read_frames
from harness.record.store import RecordError, read

RECORDS = Path(__file__).resolve().parents[1] / "records"
VERSIONS = range(1, SCHEMA_VERSION + 1)


@pytest.fixture
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The record of a version, which the test may change."""
    version: int = getattr(request, "param", SCHEMA_VERSION)
    with tarfile.open(RECORDS / f"schema-{version}.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)  # younger than Python 3.11
        archive.extractall(tmp_path)
    return tmp_path / f"schema-{version}"


def findings(checks: list[dict[str, Any]]) -> dict[str, Any]:
    return {check["name"]: (check["status"], check["value"], check["samples"], check["interval"]) for check in checks}


def then(record: Path) -> tuple[str, dict[str, Any]]:
    kept = json.loads((record / "verdict.json").read_text())
    return kept["verdict"], findings(kept["checks"])


def now(record: Path) -> tuple[str, dict[str, Any]]:
    verdict = judge_run(record).verdict.to_json()
    return verdict["verdict"], findings(verdict["checks"])


def changed(file: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Each JSON line of a file changed."""
    lines = [json.dumps(change(json.loads(line))) for line in file.read_text().splitlines()]
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("record", VERSIONS, indirect=True)
def test_each_version_is_judged_as_it_was(record: Path) -> None:
    (verdict, checks), (today, found) = then(record), now(record)
    assert len(checks) > 20
    assert {name: found.get(name) for name in checks} == checks, "checks may be added; those that there were find the same"
    assert today == verdict


@pytest.mark.parametrize("record", VERSIONS, indirect=True)
def test_what_a_newer_program_adds_survives_and_changes_nothing(record: Path) -> None:
    run = json.loads((record / "run.json").read_text())
    (record / "run.json").write_text(json.dumps({**run, "weather": {"sky": "blue"}}))
    for file in record.glob("events*.jsonl"):
        changed(file, lambda event: {**event, "mood": [1]})
    for file in (record / "provider").glob("*.jsonl"):
        changed(file, lambda row: {**row, "mood": "calm"})
    with (record / "events-watchdog.jsonl").open("a") as more:
        more.write('{"t_ns": 5, "kind": "kind-of-tomorrow", "source": "truth", "what": 1}\n')
    with_a_column(record / "requests" / "load.seg")
    assert now(record) == then(record)
    history = read(record)
    assert history.run["weather"] == {"sky": "blue"}
    assert all(e.data["mood"] == [1] for e in history.of_kind(ev.PHASE))
    assert [dict(e.data) for e in history.of_kind("kind-of-tomorrow")] == [{"what": 1}]


def with_a_column(segment: Path) -> None:
    """A request column that this program does not know."""
    frames, header = list(read_frames(segment)), FrameScan(segment).header
    old = frames[0].dtype
    wider: np.dtype[Any] = np.dtype([("mood", "<f8"), *((name, old[name]) for name in old.names or ())])
    segment.unlink()
    writer = FrameWriter(segment, wider, {"journeys": header["journeys"], "weather": "fine"})
    for frame in frames:
        rows = np.zeros(len(frame), dtype=wider)
        for name in old.names or ():
            rows[name] = frame[name]
        writer.append(rows)
    writer.close()


FILES = ("run.json", "events.jsonl", "events-load.jsonl", "requests/load.seg", "provider/llm.jsonl")


@pytest.mark.parametrize("file", FILES)
def test_a_newer_version_is_refused(file: str, record: Path) -> None:
    """What it says may not mean what this program would read in it."""
    path, newer = record / file, SCHEMA_VERSION + 1
    data = path.read_bytes()
    for old in (f'"schema": {SCHEMA_VERSION}', f'"schema":{SCHEMA_VERSION}'):
        data = data.replace(old.encode(), old.replace(str(SCHEMA_VERSION), str(newer)).encode(), 1)
    path.write_bytes(data)
    with pytest.raises(RecordError) as refused:
        read(record)
    assert str(refused.value) == f"{path}: schema {newer} is newer than this program's {SCHEMA_VERSION}; upgrade rag-gauntlet"
    done = CliRunner().invoke(cli, ["judge", str(record)])
    assert (done.exit_code, done.stderr.strip()) == (2, str(refused.value))
