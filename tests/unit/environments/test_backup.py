"""Backups and drills, without a database: what is refused, and what follows from what was measured."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import pytest

from harness.deploy.side_api import SeenInstance, SideClient, SideError
from harness.environments.backup import Backup, BackupError, Contents, database_of
from harness.environments.drill import Lost, judged, restart
from harness.environments.model import Recovery
from harness.record.clock import NS_PER_S
from harness.score.check import Result, Status
from harness.testing import FakeClock

HELD = Contents(60, "d1", 1_700_000_000.0, 180, "c1")
WANTED = Recovery.model_validate({"rpo": "60s", "rto": "120s"})


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    (tmp_path / "database.dump").write_bytes(b"dump")
    made = Backup(tmp_path, "shop", "1.0.0", "0123456789ab", "2026-01-01T00:00:00+00:00", 1.0, HELD, hashlib.sha256(b"dump").hexdigest())
    document = {k: v for k, v in asdict(made).items() if k != "folder"}
    (tmp_path / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
    return made


def statuses(results: list[Result]) -> dict[str, Status]:
    return {r.name.partition(".")[2]: r.status for r in results}


def test_a_backup_reads_back_as_it_was_made(backup: Backup) -> None:
    assert Backup.read(backup.folder) == backup


def test_a_dump_that_was_cut_is_refused(backup: Backup) -> None:
    backup.dump.write_bytes(b"dum")
    with pytest.raises(BackupError, match="not the dump that was made"):
        Backup.read(backup.folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"site": "shop"}'])
def test_a_manifest_that_is_none_is_refused(backup: Backup, text: str) -> None:
    (backup.folder / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(BackupError, match="no backup"):
        Backup.read(backup.folder)


def test_vectors_elsewhere_are_not_half_saved() -> None:
    with pytest.raises(BackupError, match="not saved yet"):
        database_of(None)


def test_a_whole_restore_within_its_limits_passes(backup: Backup) -> None:
    found = judged(backup, WANTED, Lost(2, 30.0), replace(HELD, newest_s=5.0), 20, 61.25)
    assert set(statuses(found).values()) == {Status.PASS}
    assert found[3].reason == "2 documents changed since the backup, the oldest 30.0s ago"


@pytest.mark.parametrize(
    ("found", "right", "took_s", "lost", "broken"),
    [
        (replace(HELD, documents=59), 20, 60.0, Lost(0, 0.0), {"restored": Status.FAIL, "rto": Status.INCONCLUSIVE}),
        (replace(HELD, chunks_digest="c2"), 20, 60.0, Lost(0, 0.0), {"restored": Status.FAIL, "rto": Status.INCONCLUSIVE}),
        (HELD, 17, 60.0, Lost(0, 0.0), {"answers": Status.FAIL, "rto": Status.INCONCLUSIVE}),
        (HELD, 20, 121.0, Lost(0, 0.0), {"rto": Status.FAIL}),
        (HELD, 20, 60.0, Lost(1, 61.0), {"rpo": Status.FAIL}),
        (HELD, 20, 60.0, Lost(None, 3600.0), {"rpo": Status.FAIL}),
    ],
)
def test_each_limit_and_each_doubt(
    backup: Backup, found: Contents, right: int, took_s: float, lost: Lost, broken: dict[str, Status]
) -> None:
    wanted = {"restored": Status.PASS, "answers": Status.PASS, "rto": Status.PASS, "rpo": Status.PASS, **broken}
    assert statuses(judged(backup, WANTED, lost, found, right, took_s)) == wanted


def test_an_empty_backup_proves_nothing(backup: Backup) -> None:
    nothing = Contents(0, "", None, 0, "")
    empty = replace(backup, contents=nothing)
    assert statuses(judged(empty, WANTED, Lost(0, 0.0), nothing, 20, 60.0))["restored"] is Status.INCONCLUSIVE


class Starting:
    """A side whose instance is not ready within the time of a restart, and is so after a while."""

    def __init__(self, ready_after: int) -> None:
        self.replaced: list[str] = []
        self._looks_left = ready_after

    def instances(self, service: str) -> list[SeenInstance]:
        self._looks_left -= bool(self.replaced)
        reason = "connection refused" if self.replaced and self._looks_left >= 0 else None
        return [SeenInstance(service, f"{service}-1", "http://127.0.0.1:1", "1.0.0", 1, reason)]

    def replace(self, instance: str, _variables: object) -> None:
        self.replaced.append(instance)
        raise SideError(f"{instance} not ready within 10 s")


def test_an_instance_that_takes_its_time_costs_time_and_is_no_broken_backup() -> None:
    side, clock = Starting(ready_after=3), FakeClock()
    restart(cast(SideClient, side), ["document"], clock, 60 * NS_PER_S)
    assert side.replaced == ["document-1"]
    assert clock.now_ns() == round(1.5 * NS_PER_S)


def test_one_that_is_never_ready_is_told_when_the_time_is_over() -> None:
    clock = FakeClock()
    with pytest.raises(SideError, match="document-1: connection refused"):
        restart(cast(SideClient, Starting(ready_after=10_000)), ["document"], clock, 60 * NS_PER_S)
    assert clock.now_ns() >= 60 * NS_PER_S
