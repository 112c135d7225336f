"""What a compose stack says of itself, and what it is before it is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.faults.registry import CATALOG
from harness.lifecycle.checking import check_loaded
from harness.scenario.catalog import StackInfo
from harness.scenario.loader import load_text
from harness.scenario.model import StackSpec
from harness.stack.base import CAPABILITIES, Stack, StackError, capabilities_of
from harness.stack.catalog import COMPOSE_CAPABILITIES, compose_info, info_for
from harness.stack.compose import cli
from harness.stack.compose.stack import ComposeStack
from harness.stack.options import StackOptions

SERVICES = {"web": {"port": 80, "entry": True}, "db": {"role": "postgres"}}
SCENARIO = """
name: x
stack: {{use: compose, file: {file}, services: {{web: {{port: 80}}, db: {{role: postgres}}}}, edges: [[web, db]], llm: true}}
load: {{shape: [{{constant: 25/s}}], journeys: {{home: {{service: web, get: /}}}}, mix: {{home: 1}}}}
phases: {{warmup: 10s, steady_state: 40s, fault: 40s, recovery: 20s}}
objectives: {{fault: {{availability: ">= 50%"}}}}
faults: [{{id: a, type: {fault}, target: {target}, at: fault, for: 30s, with: {with_}}}]
"""


def spec(**changes: Any) -> StackSpec:
    return StackSpec.model_validate({"use": "compose", "file": "compose.yaml", "services": SERVICES, "edges": [("web", "db")], **changes})


def test_it_can_do_what_the_catalogue_says() -> None:
    assert capabilities_of(ComposeStack) == COMPOSE_CAPABILITIES <= frozenset(CAPABILITIES)
    assert info_for(spec(replicas={"web": 2}, llm=True)) == StackInfo(
        name="compose",
        services={"web": 2, "db": 1, "llm": 1},
        edges=frozenset({("web", "db")}),
        capabilities=COMPOSE_CAPABILITIES,
        journeys=frozenset(),
        proxyable=frozenset({("web", "db")}),
        roles={"web": "http", "db": "postgres", "llm": "llm"},
        programmable=frozenset({"llm"}),
        forwarded=True,
        acts_on={"Scalable": frozenset({"web"})},
    )
    assert "Programmable" not in compose_info(spec()).capabilities


@pytest.mark.parametrize(("changes", "message"), [({"services": {}}, "names the services"), ({"file": None}, "names its file")])
def test_what_lacks_something_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compose_info(spec(**changes))


def test_before_the_start_nothing_exists_and_stop_is_harmless(tmp_path: Path) -> None:
    stack: Stack = ComposeStack(spec(), StackOptions("unit", tmp_path / "work", tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert stack.instances("web") == []
    assert isinstance(stack, ComposeStack)
    for use in (
        lambda: stack.kill("web-1"),
        lambda: stack.entry_url,
        lambda: stack.instances("nobody"),
        lambda: stack.place("web-1"),
        lambda: stack.admin("llm"),
        lambda: stack.proxy("web", "db"),
    ):
        with pytest.raises(StackError):
            use()
    stack.stop()
    stack.stop()


def test_a_file_that_is_not_there_is_told_before_anything_is_started(tmp_path: Path) -> None:
    stack = ComposeStack(spec(file=str(tmp_path / "none.yaml")), StackOptions("unit", tmp_path / "work", tmp_path))
    with pytest.raises(StackError, match=r"there is no compose file .*none\.yaml"):
        stack.start()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "target", "with_"),
    [
        ("process.kill", "web", "{}"),
        ("process.pause", "db", "{}"),
        ("network.latency", "web->db", "{delay: 100ms}"),
        ("llm.rate_limited", "llm", "{rate: 1/s}"),
        ("database.down", "db", "{}"),
        ("resource.cpu_stress", "web", "{}"),
    ],
)
def test_faults_fit_it_by_capabilities_and_roles(fault: str, target: str, with_: str, tmp_path: Path) -> None:
    if (reason := cli.why_not()) is not None:
        pytest.skip(reason)
    assert fault in CATALOG
    file = tmp_path / "compose.yaml"
    file.write_text("services: {web: {image: web}, db: {image: db}}\n")
    assert [str(p) for p in check_loaded(load_text(SCENARIO.format(file=file, fault=fault, target=target, with_=with_)))] == []


def test_the_file_is_read_by_check(tmp_path: Path) -> None:
    if (reason := cli.why_not()) is not None:
        pytest.skip(reason)
    file = tmp_path / "compose.yaml"
    text = SCENARIO.format(file=file, fault="process.kill", target="web", with_="{}")

    def said() -> list[str]:
        return [str(problem).removeprefix("<text>:") for problem in check_loaded(load_text(text))]

    assert [line.partition(" in /")[0] for line in said()] == [f"3:29: there is no file '{file}'"]
    file.write_text("services: {web: {image: web}, dbs: {image: db}}\n")
    (found,) = said()
    assert found.endswith(f"{file} has no service 'db'; did you mean 'dbs'?")
    file.write_text("services: {web: {imag: web}}\n")
    (found,) = said()
    assert "docker compose refuses it" in found
    assert "imag" in found
