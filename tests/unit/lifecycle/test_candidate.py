"""The second version of a run: the base's stack, with what the scenario changes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import cgroups
from harness.lifecycle.candidate import candidate_spec, candidate_stack, split_block_s
from harness.load.plan import HttpJourney
from harness.stack.external import ExternalStack
from harness.stack.processes import ProcessStack
from tests.two_versions import asked
from tests.unit.load.plans import plan as load_plan


def scenario(candidate: Any, **fields: Any) -> Any:
    return asked(600, compare={"candidate": candidate}, **fields)


def test_a_run_of_one_version_has_none(tmp_path: Path) -> None:
    assert candidate_stack(asked(60), "r", tmp_path / "work", tmp_path) is None
    assert split_block_s(asked(60)) == 0.0


def test_what_is_not_named_is_as_the_base_has_it(tmp_path: Path) -> None:
    changes = {"version": "2.0", "environment": {"query": {"FLAG": "1"}}, "replicas": {"retrieval": 1}, "vector_store": "qdrant"}
    base = {"replicas": {"generation": 3}, "documents": 60}
    stack = candidate_stack(scenario(changes, stack=base), "r", tmp_path / "work", tmp_path)
    assert isinstance(stack, ProcessStack)
    assert (stack.info.services["generation"], stack.info.services["retrieval"], "vector" in stack.info.services) == (3, 1, True)
    options = stack._options
    assert (options.documents, options.version, options.side) == (60, "2.0", "candidate")
    assert options.environment == {"query": {"FLAG": "1"}}
    assert (tmp_path / "candidate").is_dir(), "its logs are its own"


def test_an_external_candidate_answers_elsewhere() -> None:
    services = {"db": {"url": "http://127.0.0.1:3"}, "gateway": {"url": "http://127.0.0.1:1", "health": "http://127.0.0.1:1/health"}}
    spec = candidate_spec(scenario({"url": "http://127.0.0.1:2"}, stack={"use": "external", "services": services}))
    assert ExternalStack(spec).entry_url == "http://127.0.0.1:2"
    assert spec.by_url["gateway"].health is None, "the base's says nothing of it"


def test_blocks_are_asked_for() -> None:
    assert split_block_s(asked(600, compare={"candidate": {"version": "2"}, "split": "blocks", "block": "3s"})) == 3.0


@pytest.mark.parametrize(("url", "moved"), [("http://a/x", "http://b/x"), ("http://a.other/x", "http://a.other/x")])
def test_journeys_to_the_entry_go_to_the_candidates_own(url: str, moved: str) -> None:
    journey = HttpJourney("j", "GET", url, None, {}, (200,))
    plan = replace(load_plan(), base_url="http://a", journeys=(journey,), candidate_url="http://b")
    other = plan.of_candidate()
    assert (other.base_url, other.journeys[0].url) == ("http://b", moved)


def test_control_groups_of_the_second_stack_are_removed_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stack removes its own; what a dead run left is removed by its id alone."""
    for name in ("gauntlet-r", "gauntlet-r.candidate", "gauntlet-rr"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(cgroups, "_mounts", lambda _text: [cgroups._Mount(2, "/", tmp_path, frozenset())])
    cgroups.remove_groups("r.candidate")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gauntlet-r", "gauntlet-rr"]
    (tmp_path / "gauntlet-r.candidate").mkdir()
    cgroups.remove_groups("r")
    assert [p.name for p in tmp_path.iterdir()] == ["gauntlet-rr"]
