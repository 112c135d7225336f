"""The documentation says what the code does: everything is named, every example is valid, every link leads somewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import jsonschema
import pytest
import yaml

from harness.cli import cli
from harness.commands import reference
from harness.lifecycle import exit_codes
from harness.lifecycle.checking import check_loaded
from harness.lifecycle.reference import fault_pages
from harness.record import events
from harness.record.requests import REQUEST_DTYPE
from harness.report.verdict_json import json_schema
from harness.scenario.loader import load_text
from harness.scenario.model import Expect, Gate, LoadSpec, Scenario
from harness.scenario.slis import PHASES, sli_name
from harness.score.summary import scores
from harness.telemetry import contract
from tests.history_builder import history, scenario

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def where(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(group: click.Group = cli, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Words of every command, groups left out."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*prefix, name))
        else:
            yield (*prefix, name)


def known_slis() -> list[str]:
    """One name of each family, as the parser itself lists them."""
    with pytest.raises(ValueError, match="write one of") as refused:
        sli_name("zzzzzz")
    return str(refused.value).split("write one of ", 1)[1].split(" (", 1)[0].split(", ")


def first_cells(text: str) -> list[str]:
    """What stands in backquotes in the first column of the tables."""
    return re.findall(r"`([^`]+)`", "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `")))


def links(path: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_is_in_the_readme(words: tuple[str, ...]) -> None:
    assert re.search(rf"`(gauntlet )?{' '.join(words)}\b", README), f"README.md does not name `gauntlet {' '.join(words)}`"


@pytest.mark.parametrize("path", PAGES, ids=where)
def test_every_command_that_is_named_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    code = [*re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL), *re.findall(r"`([^`\n]+)`", text)]
    for words in re.findall(r"(?:^|[\s(/])gauntlet ((?:[a-z][a-z-]* ?){1,2})", "\n".join(code)):
        found: click.Command | None = cli
        for word in words.split():
            if isinstance(found, click.Group):
                found = found.commands.get(word)
        assert found not in (None, cli), f"there is no `gauntlet {words.strip()}`"


@pytest.mark.parametrize("path", PAGES, ids=where)
def test_every_script_and_module_that_is_named_is_there(path: Path) -> None:
    named = re.findall(r"(?<![\w/.])((?:harness|mocks|tests|pipelines|scenarios|docs)/[\w./*-]*\w)", path.read_text(encoding="utf-8"))
    missing = sorted({name for name in named if not (list(ROOT.glob(name)) if "*" in name else (ROOT / name).exists())})
    assert not missing


def test_the_scripts_can_be_started() -> None:
    assert all(os.access(ROOT / "pipelines" / name, os.X_OK) for name in ("setup", "test", "docs"))


def test_exit_codes_are_documented() -> None:
    line = next(line for line in README.splitlines() if line.startswith("Exit codes:"))
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert {int(code) for code in re.findall(r"\b\d+\b", line)} == codes


def test_fault_pages_are_fresh() -> None:
    folder = ROOT / "docs" / "faults"
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    assert found == fault_pages(folder), "stale: run pipelines/docs"


def test_the_page_of_commands_is_fresh() -> None:
    assert page("cli.md") == reference.page(cli), "stale: run pipelines/docs"


def test_every_sli_is_documented() -> None:
    documented = {sli_name(name).family for name in first_cells(page("scenario.md")) if name in known_slis()}
    assert documented == {sli_name(name).family for name in known_slis()}


def test_every_key_of_a_scenario_is_documented() -> None:
    text = page("scenario.md")
    fields = {f.alias or name for model in (Scenario, LoadSpec, Expect, Gate) for name, f in model.model_fields.items()}
    missing = sorted(key for key in {*fields, *PHASES} if not re.search(rf"\b{key}\b", text))
    assert not missing


def test_every_metric_of_the_contract_is_documented() -> None:
    text = page("reference-stack.md")
    names = [v for v in vars(contract).values() if isinstance(v, str) and re.match(r"(rag_|vllm:|process_|client_)", v)]
    assert len(names) > 30
    assert not [name for name in names if f"`{name}`" not in text]


def test_the_record_is_documented() -> None:
    text = page("record.md")
    kinds = [v for k, v in vars(events).items() if k.isupper() and isinstance(v, str)]
    words = [*kinds, *events.FAULT_STEPS, *(REQUEST_DTYPE.names or ())]
    assert not [word for word in words if f"`{word}`" not in text]
    fields = first_cells(text.split("## Requests")[1])
    assert fields == list(dict.fromkeys(fields)) and set(fields) == set(REQUEST_DTYPE.names or ())


def test_the_example_verdict_is_one() -> None:
    (example,) = blocks(ROOT / "docs" / "verdict.md", "json")
    jsonschema.validate(json.loads(example), json_schema())
    computed = scores(history(), scenario())
    assert {k: set(v) if isinstance(v, dict) else None for k, v in computed.items()} == {
        k: set(v) if isinstance(v, dict) else None for k, v in json.loads(example)["scores"].items()
    }
    text = page("verdict.md")
    assert not [name for name in json_schema()["properties"] if f"`{name}" not in text and f'"{name}"' not in text]


SCENARIOS = [(path, n, text) for path in PAGES for n, text in enumerate(blocks(path, "yaml")) if "phases:" in text]


@pytest.mark.parametrize(("path", "n", "text"), SCENARIOS, ids=[f"{where(path)}-{n}" for path, n, _ in SCENARIOS])
def test_scenarios_in_the_pages_are_valid(path: Path, n: int, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_text(text)
    stack = loaded.scenario.stack
    if stack.use == "compose":  # the reader's own file, of which a page shows only what is mapped
        monkeypatch.chdir(tmp_path)
        own = {"services": {name: {"image": "example"} for name in stack.services}}
        (tmp_path / str(stack.file)).write_text(yaml.safe_dump(own), encoding="utf-8")
    assert [problem for problem in check_loaded(loaded) if problem.severity == "error"] == []


OF_NODES = "{driver: swarm, nodes: {b: {engine: 'unix:///b', kill: [k], start: [s], pause: [p], resume: [r], cut: [c], mend: [m]}}}"
FRAME = "name: a\nload: {shape: [{constant: 20/s}]}\nphases: {warmup: 10s, steady_state: 30s, fault: 60s, recovery: 20s}\n"


@pytest.mark.parametrize("path", [p for p in PAGES if p.parent.name == "faults" and p.name != "README.md"], ids=where)
def test_examples_of_faults_are_valid(path: Path) -> None:
    (example,) = blocks(path, "yaml")
    stacks = {"vector": "stack: {vector_store: qdrant}\n", "host": f"stack: {OF_NODES}\n"}
    over_tls = "stack: {driver: containers, tls: true}\n" if "target: ingress" in example else ""
    stack = stacks.get(path.name.partition(".")[0], over_tls)
    assert [p for p in check_loaded(load_text(FRAME + stack + example)) if p.severity == "error"] == []


@pytest.mark.parametrize("path", PAGES, ids=where)
def test_yaml_in_the_pages_can_be_read(path: Path) -> None:
    for text in blocks(path, "yaml"):
        yaml.safe_load(text)


def anchors(path: Path) -> set[str]:
    """As the usual renderers make them of headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=where)
def test_links_lead_somewhere(path: Path) -> None:
    for target in links(path):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        aim = (path.parent / file).resolve() if file else path
        assert aim.is_file(), f"{where(path)}: {target}"
        assert not anchor or anchor in anchors(aim), f"{where(path)}: {target}"


def test_every_page_can_be_reached() -> None:
    linked = {(path.parent / target.partition("#")[0]).resolve() for path in PAGES for target in links(path)}
    assert not [where(path) for path in PAGES[1:] if path not in linked]


# The text works on anybody's machine: no home directory of one, no package host that a mirror would replace.
FOREIGN = re.compile(r"(?<![\w.])/(?:root|home/\w+)/|\b(?:pypi\.org|pythonhosted\.org|ghcr\.io)\b", re.IGNORECASE)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_the_text_names_nobodys_machine() -> None:
    found = []
    for path in tracked():
        if path == Path(__file__).resolve() or not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{where(path)}:{text.count(chr(10), 0, m.start()) + 1}: {m[0]}" for m in FOREIGN.finditer(text)]
    assert not found
