"""What is wrong with a pipeline file is told at its place, all at once, before anything starts."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from harness.pipeline.loading import load_pipeline, load_text
from harness.pipeline.registry import KINDS, kind
from harness.pipeline.schema import json_schema
from harness.scenario.problem import ScenarioError
from tests.unit.pipeline.test_engine import CHAIN, SIDE_BY_SIDE

ROOT = Path(__file__).resolve().parents[3]


def problems(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as refused:
        load_text(text, "p.yaml")
    return [str(problem) for problem in refused.value.problems]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    text = """
name: Release
stages:
  build:
    needs: [nothing]
    steps:
      - {id: one, uses: comand, with: {argv: [a]}}
      - {id: two, uses: command, with: {argw: [a]}, timeout: 10}
"""
    assert problems(text) == [
        "p.yaml:2:7: 'Release' is no valid name; write lower-case letters, digits and hyphens",
        "p.yaml:7:25: there is no kind of step 'comand'; did you mean 'command'?",
        "p.yaml:8:40: 'argv' is missing; write `argv: …`",
        "p.yaml:8:41: unknown key 'argw'; did you mean 'argv'?",
        "p.yaml:8:62: 10 is no duration; write a number with its unit: 250ms, 10s, 2m or 1h",
    ]


def test_what_no_single_field_shows() -> None:
    text = """
name: p
stages:
  a:
    needs: [b]
    steps:
      - {id: one, uses: command, with: {argv: ["${steps.two.directory}", "${steps.three.x}", "${what}", "${steps.late.directory}"]}}
      - {id: late, uses: command, with: {argv: [x]}}
  b:
    needs: [a]
    steps:
      - {id: one, uses: command, with: {argv: ["$${fine}"]}}
  c:
    steps:
      - {id: two, uses: command, with: {argv: [x]}}
      - {id: last, uses: command, with: {argv: ["${steps.two.nope}"]}}
      - {id: far, uses: command, with: {argv: ["${steps.late.directory}"]}}
  d:
    needs: [e]
    steps: [{id: z, uses: command, with: {argv: [x]}}]
"""
    found = problems(text)
    for told in (
        "p.yaml:5:12: stage 'a' needs itself, by way of what it needs; break the circle",
        "p.yaml:7:48: step 'two' is of stage 'c', which need not be over by then; add `needs: [c]` to stage 'a'",
        "there is no step 'three'",
        "${what} is no reference; write ${steps.ID.NAME}",
        "step 'late' comes no earlier than this one; put it before this one",
        "'one' is the id of a step of stage 'a'; give each its own",
        "command hands on no 'nope'",
        "step 'late' is of stage 'a'",
        "there is no stage 'e'",
    ):
        assert any(told in line for line in found), (told, found)
    assert len(found) == 10


def test_what_refers_to_something_is_judged_when_that_is_known() -> None:
    text = """
name: p
stages:
  a:
    steps:
      - {id: one, uses: scenario, with: {files: ["${env.FILE}"], seed: "${env.SEED}", repeat: 0}}
"""
    assert problems(text) == ["p.yaml:6:95: repeat: 0 is out of range; write at least 1"]
    loaded = load_text(text.replace(", repeat: 0", ""), "p.yaml")
    assert [str(p) for p in loaded.unset({"FILE": "x"}, {"a"})] == ["p.yaml:6:72: the variable SEED is not set; set it before the start"]
    assert loaded.unset({}, set()) == []


@pytest.mark.parametrize(
    "text", ["", "- a", "name: p", "name: p\nstages: {}", "name: p\nstages: {a: {steps: []}}", "name: p\nstages: {a: 3}"]
)
def test_what_holds_nothing_is_refused(text: str) -> None:
    assert problems(text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no such file; give the path of a pipeline"):
        load_pipeline(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_says_what_it_does_and_wants(name: str) -> None:
    found = kind(name)
    assert found.summary
    assert found.options.model_config.get("frozen") and found.options.model_config.get("extra") == "forbid"


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.yaml")), ids=lambda path: path.name)
def test_the_pipelines_that_ship_are_valid(path: Path) -> None:
    load_pipeline(path)
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), json_schema())


def test_the_pipeline_in_the_page_is_valid() -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    loaded = load_text(example)
    assert [problem.message for problem in loaded.unset({}, set(loaded.pipeline.stages))] == ["the variable SHOP_KEY is not set"]
    jsonschema.validate(yaml.safe_load(example), json_schema())


def test_the_schema_knows_each_kind() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for text in (CHAIN, SIDE_BY_SIDE):
        jsonschema.validate(yaml.safe_load(text), schema)
    for wrong in ("argv: 3", "argw: [a]"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(CHAIN.replace("argv: [a]", wrong)), schema)
