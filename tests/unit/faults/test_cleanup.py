"""Of a dead run's things on an engine that is busy: silence is not taken for an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import sweep_containers
from harness.faults.cleanup import SWEEPS_MAX, tear_down
from harness.faults.lease_files import Holder
from harness.record.clock import SystemClock

# Lists one network, to which nothing is attached, until it is removed, which it cannot be while there is a file `keeps`.
# The first calls, as many as the file `busy` says, are never answered.
ENGINE = """#!/bin/sh
cd {folder}
echo "$*" >> calls
left=$(cat busy)
if [ "$left" -gt 0 ]; then echo $((left - 1)) > busy; exec sleep 60; fi
case "$1 $2" in
  "network ls") [ -e gone ] || echo "1234 n-dead" ;;
  "network rm") [ -e keeps ] || touch gone ;;
  "network inspect") echo 0 ;;
esac
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "engine"
    folder.mkdir()
    program = folder / "docker"
    program.write_text(ENGINE.format(folder=folder), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(sweep_containers, "CALL_TIMEOUT_S", 1.0)
    return folder


@pytest.fixture
def dead(tmp_path: Path) -> Holder:
    work_dir = tmp_path / "gauntlet-dead"
    work_dir.mkdir()
    return Holder("dead", 1, 0.0, work_dir, None)


def test_an_engine_that_is_busy_for_a_while_is_asked_again(engine: Path, dead: Holder) -> None:
    (engine / "busy").write_text("1", encoding="ascii")
    done = tear_down(dead, SystemClock())
    assert (done.ended, done.left, (engine / "gone").exists(), dead.work_dir.exists()) == (("network n-dead",), (), True, False)


def test_what_an_engine_does_not_tell_is_left_and_the_directory_stays_for_another_look(engine: Path, dead: Holder) -> None:
    (engine / "busy").write_text("1000", encoding="ascii")
    done = tear_down(dead, SystemClock())
    assert len(done.left) == 1 and "no answer in 1 s" in done.left[0]
    assert (done.complete, dead.work_dir.exists()) == (False, True)
    assert len((engine / "calls").read_text(encoding="ascii").splitlines()) >= SWEEPS_MAX
    (engine / "busy").write_text("0", encoding="ascii")
    again = tear_down(dead, SystemClock())
    assert (again.ended, again.left, dead.work_dir.exists()) == (("network n-dead",), (), False)


def test_an_empty_network_that_the_engine_keeps_is_told_with_what_helps(engine: Path, dead: Holder) -> None:
    (engine / "busy").write_text("0", encoding="ascii")
    (engine / "keeps").touch()
    done = tear_down(dead, SystemClock())
    assert done.left == ("network n-dead (nothing is attached to it, and the engine keeps it: restart the engine, then `gauntlet clean`)",)
    (engine / "keeps").unlink()
    assert tear_down(dead, SystemClock()).left == ()
