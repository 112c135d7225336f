"""What goes wrong before the load begins is no run; what goes wrong afterwards is in the record, and the record is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import run
from harness.record import events as ev
from harness.record.journal import read_journal
from harness.scenario.loader import load_text
from harness.stack.base import StackError

SCENARIO = "name: broken\nload: {shape: [{constant: 25/s}]}\nphases: {steady_state: 5s}\n"


def breaking(begun: bool) -> object:
    def carry_out(self: run._Run) -> str:
        self.begun = begun
        raise StackError("survives SIGKILL: postgres (42)")

    return carry_out


def test_a_stack_that_breaks_in_mid_run_is_in_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run._Run, "carry_out", breaking(begun=True))
    finished = run.execute(load_text(SCENARIO), run.Options(out=tmp_path))
    told = [(e.kind, e.data.get("state") or e.data.get("ending"), e.data.get("detail")) for e in read_journal(finished.directory.events)]
    assert told == [(ev.STACK, "failed", "survives SIGKILL: postgres (42)"), (ev.ENDED, "failed", None)]


def test_a_stack_that_does_not_start_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run._Run, "carry_out", breaking(begun=False))
    with pytest.raises(StackError, match="survives SIGKILL"):
        run.execute(load_text(SCENARIO), run.Options(out=tmp_path))
