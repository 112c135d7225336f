"""A step's fingerprint changes with whatever its answer depends on, and holds no secret."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.pipeline.definition import Step
from harness.pipeline.fingerprint import Tree, fingerprint, tree
from harness.pipeline.steps.scenario import Scenario
from harness.pipeline.steps.test.pytest import Pytest

SAME = Tree("a" * 40, False, "c")


def step(**changes: object) -> Step:
    return Step.model_validate({"id": "a", "uses": "test.pytest", "with": {"paths": ["f"]}, **changes})


def of(root: Path, one: Step | None = None, state: Tree = SAME, secrets: dict[str, str] | None = None) -> str | None:
    options = Pytest(paths=[Path("f"), Path("folder")])
    return fingerprint(one or step(), (one or step()).with_, options, root, state, secrets or {})


def test_it_changes_with_what_the_answer_depends_on(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "g").write_text("1", encoding="utf-8")
    before = of(tmp_path)
    assert before is not None and of(tmp_path) == before
    seen = {before}
    for change in (
        of(tmp_path, step(uses="command")),
        of(tmp_path, step(**{"with": {"paths": ["h"]}})),
        of(tmp_path, state=Tree("b" * 40, False, "c")),
        of(tmp_path, state=Tree("a" * 40, True, "d")),
        of(tmp_path, secrets={"KEY": "one"}),
        of(tmp_path, secrets={"KEY": "two"}),
        of(tmp_path, step(inputs=["folder/*"])),
    ):
        assert change not in seen
        seen.add(change)
    (tmp_path / "f").write_text("1", encoding="utf-8")
    assert of(tmp_path) not in seen
    seen.add(of(tmp_path))
    (tmp_path / "folder" / "g").write_text("2", encoding="utf-8")
    assert of(tmp_path) not in seen


def test_it_stays_with_what_the_answer_does_not_depend_on(tmp_path: Path) -> None:
    (tmp_path / "folder" / "__pycache__").mkdir(parents=True)
    before = of(tmp_path, step())
    (tmp_path / "folder" / "__pycache__" / "x").write_text("1", encoding="utf-8")
    assert of(tmp_path, step(timeout="3s", optional=True)) == before


def test_outside_a_repository_there_is_none(tmp_path: Path) -> None:
    assert tree(tmp_path, tmp_path / "runs") == Tree("nogit", False, None)
    options = Scenario(files=[Path("f")])
    assert fingerprint(step(), {}, options, tmp_path, Tree("nogit", False, None), {}) is None


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for words in (
        ["init", "-q"],
        ["config", "user.email", "a@b"],
        ["config", "user.name", "a"],
        ["commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_the_state_of_a_tree_covers_what_is_not_committed(repository: Path) -> None:
    runs = repository / "runs"
    clean = tree(repository, runs)
    assert (clean.dirty, len(clean.sha)) == (False, 40)
    runs.mkdir()
    (runs / "record").write_text("1", encoding="utf-8")
    assert tree(repository, runs) == clean
    (repository / "new").write_text("1", encoding="utf-8")
    with_new = tree(repository, runs)
    assert with_new.dirty and with_new.content != clean.content
    subprocess.run(["git", "add", "new"], cwd=repository, check=True)
    (repository / "new").write_text("2", encoding="utf-8")
    assert tree(repository, runs).content not in (clean.content, with_new.content)
