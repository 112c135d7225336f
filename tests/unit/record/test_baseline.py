"""The baseline of a run: pinned when the run is made, and the same one when it is judged again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.record import store
from harness.record.baseline import baseline, pin, pinned


def run(root: Path, seed: int = 1) -> Path:
    directory = store.create(root, "s", datetime(2026, 1, 1, tzinfo=UTC), "abcdef0")
    store.write_run_file(directory, {"seed": seed})
    return directory.path


def test_what_was_pinned_is_found_again(tmp_path: Path) -> None:
    path = run(tmp_path)
    found = baseline({"baseline": pin(path)}, None)
    assert found is not None
    assert found.run["seed"] == 1
    assert baseline({}, None) is None
    assert baseline({"baseline": None}, None) is None


def test_the_one_that_is_given_goes_first(tmp_path: Path) -> None:
    found = baseline({"baseline": pin(run(tmp_path))}, run(tmp_path, 2))
    assert found is not None
    assert found.run["seed"] == 2


def test_another_run_in_its_place_is_refused(tmp_path: Path) -> None:
    path = run(tmp_path)
    record = {"baseline": pin(path)}
    store.write_run_file(store.RunDirectory(path), {"seed": 3})
    with pytest.raises(store.RecordError, match="not the run that was the baseline; name one with --baseline"):
        baseline(record, None)
    store.RunDirectory(path).run_file.unlink()
    assert baseline(record, None) is None


def test_where_the_pinned_one_lies(tmp_path: Path) -> None:
    path = run(tmp_path)
    told = pin(path)
    assert (pinned(told), pinned(None), pinned({"path": None, "reason": "none"})) == (path.resolve(), None, None)
    store.RunDirectory(path).run_file.unlink()
    with pytest.raises(store.RecordError, match="not there any more"):
        pinned(told)


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(store.RecordError, match="no run here to compare with"):
        baseline({}, tmp_path)
