"""`gauntlet up` leaves a stack running only when it has said so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

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
