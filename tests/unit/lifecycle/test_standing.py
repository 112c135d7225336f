"""`gauntlet up` leaves a stack running only when it has said so."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from harness.lifecycle import standing
from harness.testing import FakeClock


class ImpatientClock(FakeClock):
    """Ctrl-C while waiting."""

    def sleep(self, duration_s: float) -> None:
        raise KeyboardInterrupt


def test_a_supervisor_that_nobody_waits_for_any_more_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    process = SimpleNamespace(poll=lambda: None, terminate=lambda: told.append("terminate"))
    monkeypatch.setattr(standing, "state_file", lambda: tmp_path / "up.json")
    monkeypatch.setattr("subprocess.Popen", lambda *_args, **_options: process)
    with pytest.raises(KeyboardInterrupt):
        standing.bring_up(None, lambda _text: None, ImpatientClock())
    assert told == ["terminate"]


@pytest.mark.parametrize(("owned_by_us", "found"), [(True, os.getpid()), (False, None)], ids=["ours", "not ours"])
def test_a_state_file_of_somebody_else_names_no_process_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owned_by_us: bool, found: int | None
) -> None:
    path, us = tmp_path / "up.json", os.getuid()
    path.write_text(json.dumps({"pid": os.getpid(), "create_time": psutil.Process().create_time()}), encoding="utf-8")
    monkeypatch.setattr(standing, "state_file", lambda: path)
    monkeypatch.setattr("os.getuid", lambda: us if owned_by_us else us + 1)
    process = standing.supervisor()
    assert (process.pid if process else None) == found
