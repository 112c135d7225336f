"""Environments: how layers are laid, what is refused and where, and what the id depends on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import cli
from harness.environments.checking import LoadedEnvironment, load
from harness.environments.deploying import deploy_of
from harness.environments.layers import LayersError
from harness.environments.showing import differences, shown

BASE = """\
strategy: blue_green
stack: {replicas: {retrieval: 2}}
urls: {llm: "https://${LLM_HOST:-127.0.0.1}:8443/v1"}
timeouts: {client->gateway: 30s, gateway->query: 25s, query->generation: 20s, generation->llm: 10s}
embedding: {model: small, dimension: 384}
collection: {name: docs, dimension: 384}
secrets: {generation: {LLM_API_KEY: env:LLM_API_KEY}}
"""
SECRET = "sk-never-shown"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "base", BASE)
    write(tmp_path, "staging", "stack: {replicas: {generation: 3}}\n")
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def loaded(folder: Path, name: str = "staging", **variables: str) -> LoadedEnvironment:
    return load(folder, name, {"LLM_API_KEY": SECRET, **variables})


def refused(folder: Path, text: str, name: str = "staging", **variables: str) -> str:
    write(folder, name, text)
    with pytest.raises(LayersError) as found:
        loaded(folder, name, **variables)
    return str(found.value).replace(f"{folder}/", "")


def test_layers_are_merged_key_by_key(folder: Path) -> None:
    environment = loaded(folder, LLM_HOST="llm.internal").environment
    assert environment.stack.replicas == {"retrieval": 2, "generation": 3}
    assert environment.urls == {"llm": "https://llm.internal:8443/v1"}


def test_a_list_or_text_is_replaced_whole(folder: Path) -> None:
    write(folder, "staging", "strategy: canary\nembedding: {model: large}\n")
    environment = loaded(folder).environment
    assert environment.strategy == "canary"
    assert environment.embedding is not None
    assert (environment.embedding.model, environment.embedding.dimension) == ("large", 384)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("urls: {llm: 'http//nowhere'}", "staging.yaml:1:13: llm: the URL has no scheme"),
        ("urls: {llm: 'https://host:99999/v1'}", "staging.yaml:1:13: llm: the URL has no port"),
        ("urls: {database: 'postgresql://rag:pw@db:5432/rag'}", "staging.yaml:1:18: database: the URL holds a password"),
        (
            "urls: {llm: 'https://${NOT_SET}/v1'}",
            "staging.yaml:1:13: the variable NOT_SET is not set; set it, or write ${NOT_SET:-otherwise}",
        ),
        ("timeouts: {gateway->query: 15s}", "staging.yaml:1:28: gateway waits 15s for query, which itself waits 20s for generation"),
        ("timeouts: {gateway->llm: 15s}", "staging.yaml:1:26: nobody calls 'gateway->llm'"),
        ("embedding: {dimension: 768}", "staging.yaml:1:24: small makes vectors of 768 dimensions, and docs holds 384"),
        ("collection: {distance: dot}", "staging.yaml:1:24: small is to be compared by cosine, and docs by dot"),
        (
            "pools: {max_connections: 20, services: {retrieval: 5}}",
            "staging.yaml:1:26: the pools of all replicas take 20 connections while both versions stand, and the database has 17",
        ),
        ("settings: {gateway: {JWT_SECRET: abc}}", "staging.yaml:1:34: JWT_SECRET looks like a secret; write it below `secrets`"),
        ("settings: {getaway: {A: b}}", "the stack has no service 'getaway'; did you mean 'gateway'?"),
        ("secrets: {generation: {LLM_API_KEY: sk-123}}", "a secret is never written here"),
        ("secrets: {generation: {LLM_API_KEY: env:ABSENT}}", "staging.yaml:1:37: the variable ABSENT is not set, or empty"),
        ("secrets: {generation: {LLM_API_KEY: file:absent}}", "absent: No such file or directory"),
        ("strategy: bluegreen", "staging.yaml:1:11:"),
        ("stratgy: canary", "staging.yaml:1:"),
        ("deploy: absent.yaml", "staging.yaml:1:9: there is no absent.yaml"),
    ],
)
def test_what_cannot_work_is_told_with_its_place(folder: Path, text: str, said: str) -> None:
    assert said in refused(folder, text + "\n")


def test_what_a_lower_layer_says_is_told_in_its_own_file(folder: Path) -> None:
    write(folder, "base", BASE.replace("dimension: 384}\ncollection", "dimension: 385}\ncollection"))
    assert refused(folder, "strategy: canary\n").startswith("base.yaml:5:38: small makes vectors of 385 dimensions")


def test_an_unknown_environment_is_told_with_the_nearest_one(folder: Path) -> None:
    with pytest.raises(LayersError, match=r"there is no environment 'stagign' .*; did you mean 'staging'\?"):
        loaded(folder, "stagign")


def test_a_secret_that_others_may_read_is_refused(folder: Path) -> None:
    (folder / "key").write_text(SECRET, encoding="utf-8")
    (folder / "key").chmod(0o644)
    message = refused(folder, "secrets: {generation: {LLM_API_KEY: file:key}}\n")
    assert "key can be read by others (-rw-r--r--); chmod 600" in message
    assert SECRET not in message


def test_no_value_of_a_secret_is_shown_or_part_of_the_id(folder: Path) -> None:
    one, other = loaded(folder), loaded(folder, LLM_API_KEY="another")
    assert one.environment.config_id == other.environment.config_id
    assert SECRET not in json.dumps(shown(one))
    assert shown(one)["config"]["secrets"] == {"generation": {"LLM_API_KEY": "env:LLM_API_KEY"}}


def test_the_id_tells_configurations_apart_and_not_the_way_they_are_written(folder: Path) -> None:
    first = loaded(folder).environment.config_id
    write(folder, "staging", "# the same in other words\nstack:\n  replicas:\n    generation: 3\n")
    assert loaded(folder).environment.config_id == first
    write(folder, "staging", "stack: {replicas: {generation: 4}}\n")
    assert loaded(folder).environment.config_id != first


@given(st.integers(1, 8), st.integers(1, 8))
def test_equal_ids_mean_equal_configurations(tmp_path_factory: pytest.TempPathFactory, one: int, other: int) -> None:
    ids = []
    for replicas in (one, other):
        folder = tmp_path_factory.mktemp("environments")
        write(folder, "base", BASE)
        write(folder, "staging", f"stack: {{replicas: {{generation: {replicas}}}}}\n")
        ids.append(loaded(folder).environment.config_id)
    assert (ids[0] == ids[1]) == (one == other)


def test_differences_name_keys_and_both_values(folder: Path) -> None:
    write(folder, "production", "strategy: canary\nstack: {replicas: {generation: 3, retrieval: 4}}\n")
    assert differences(loaded(folder), loaded(folder, "production")) == [
        {"key": "stack.replicas.retrieval", "from": 2, "to": 4},
        {"key": "strategy", "from": "blue_green", "to": "canary"},
    ]


def test_the_commands_say_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_API_KEY", SECRET)
    write(folder, "production", "strategy: canary\n")
    run = CliRunner()
    assert run.invoke(cli, ["config", "check", "--dir", str(folder)]).exit_code == 0
    shown_ = run.invoke(cli, ["config", "show", "staging", "--dir", str(folder), "--json"])
    assert json.loads(shown_.output)["config_id"] == loaded(folder).environment.config_id
    assert "strategy: blue_green -> canary" in run.invoke(cli, ["config", "diff", "staging", "production", "--dir", str(folder)]).output
    write(folder, "production", "urls: {llm: nowhere}\n")
    assert run.invoke(cli, ["config", "check", "--dir", str(folder)]).exit_code == 2


DEPLOY = 'name: shop\nchange: {version: 1.1.0, environment: {generation: {PROMPT: short}}}\nobjectives: {availability: ">= 99%"}\n'


def test_an_environment_is_deployed_by_its_strategy_with_its_settings_and_secrets_apart(folder: Path) -> None:
    (folder / "deploys").mkdir()
    write(folder / "deploys", "shop", DEPLOY)
    write(folder, "staging", "strategy: canary\ndeploy: deploys/shop.yaml\nsettings: {generation: {PROMPT: long, TOP_K: '5'}}\n")
    found = deploy_of(loaded(folder), folder, {"LLM_API_KEY": SECRET})
    assert (found.strategy, found.origin["name"]) == ("canary", "staging")
    assert found.loaded.plan.stack.replicas == {"retrieval": 2}
    assert found.loaded.plan.change.environment == {"generation": {"PROMPT": "short", "TOP_K": "5"}}
    assert found.secrets == {"generation": {"LLM_API_KEY": SECRET}}
    assert found.loaded.plan.name == "shop-staging"
    assert (found.loaded.plan.base, found.loaded.plan.change.version) == ("1.0.0", f"1.1.0+{found.origin['config_id']}")
    assert found.base.base == f"1.0.0+{found.origin['config_id']}"
    assert SECRET not in found.loaded.text + repr(found)


def test_an_environment_without_a_deploy_file_says_so(folder: Path) -> None:
    with pytest.raises(LayersError, match="staging does not say how a version gets there"):
        deploy_of(loaded(folder), folder, {"LLM_API_KEY": SECRET})
