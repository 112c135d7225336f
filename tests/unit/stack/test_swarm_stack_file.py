"""The stack file of the reference stack: what is replicated and spread, what stays, what everything is told, and what carries the label."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.stack.credentials import Credentials
from harness.stack.options import StackOptions
from harness.stack.swarm.material import Passwords, write
from harness.stack.swarm.stack_file import PORTS, Plan, draw_ports, registry, stack_file
from harness.stack.topology import Topology, topology
from harness.sweep_containers import RUN_LABEL
from tests.e2e.docker_engine import why_not

IMAGES = {name: f"rag-gauntlet/{name}:0123456789ab" for name in ("services", "postgres", "valkey")}
REPLICAS = {"retrieval": 3, "query": 2}


def plan(chosen: Topology, **changes: Any) -> Plan:
    given: dict[str, Any] = {
        "run_id": "r1",
        "images": IMAGES,
        "replicas": chosen.declared_replicas(REPLICAS),
        "holder": "node-of-data",
        "version": "1.2.3",
        "vector_store": chosen.vector_store,
        "ports": draw_ports(chosen, "r1"),
        **changes,
    }
    return Plan(**given)


def services(**changes: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = stack_file(topology(), plan(topology(), **changes))["services"]
    return found


def test_what_there_may_be_more_of_is_replicated_and_spread() -> None:
    found = services()
    assert set(found) == set(topology().services)
    assert {name: found[name]["deploy"]["replicas"] for name in ("retrieval", "query", "gateway")} == {
        "retrieval": 3, "query": 2, "gateway": 1,
    }  # fmt: skip
    for name, service in topology().services.items():
        placement = found[name]["deploy"]["placement"]
        assert placement == {"constraints": ["node.id == node-of-data"] if service.single else []}, name


def test_no_service_needs_a_virtual_address_or_the_ingress_network() -> None:
    for service in services().values():
        assert service["deploy"]["endpoint_mode"] == "dnsrr"
        assert {port["mode"] for port in service["ports"]} == {"host"}


def test_ports_are_fixed_where_somebody_may_keep_the_address_and_only_there() -> None:
    found = services()
    fixed = [port["published"] for service in found.values() for port in service["ports"] if "published" in port]
    assert len(fixed) == len(set(fixed)) and set(fixed) <= set(PORTS)
    assert {name for name, service in found.items() if "published" in service["ports"][0]} == {
        name for name, service in topology().services.items() if service.single
    }
    assert draw_ports(topology(), "r1") == draw_ports(topology(), "r1") != draw_ports(topology(), "r2")


def test_a_task_is_told_which_instance_it_is_by_the_swarm() -> None:
    environment = services()["retrieval"]["environment"]
    assert environment["INSTANCE"] == "retrieval-{{.Task.Slot}}"
    assert environment["VERSION"] == "1.2.3"
    assert services()["llm_fallback"]["hostname"] == "llm-fallback-{{.Task.Slot}}"


def test_strangers_get_nothing() -> None:
    placement = services(strangers=("x", "y"))["retrieval"]["deploy"]["placement"]
    assert placement["constraints"] == ["node.id != x", "node.id != y"]


@pytest.mark.parametrize("store", ["pgvector", "qdrant", "chroma"])
def test_everything_carries_the_label_of_the_run(store: Any) -> None:
    document = stack_file(topology(store), plan(topology(store)))
    for service in document["services"].values():
        assert service["labels"][RUN_LABEL] == service["deploy"]["labels"][RUN_LABEL] == "r1"
    for kind in ("networks", "volumes", "configs", "secrets"):
        assert {thing["labels"][RUN_LABEL] for thing in document[kind].values()} == {"r1"}, kind
    volumes = {mount for service in document["services"].values() for mount in service["volumes"] if isinstance(mount, str)}
    assert {mount.partition(":")[0] for mount in volumes} == set(document["volumes"]), "no volume is made without a label"
    used = {shown["source"] for service in document["services"].values() for shown in service["secrets"]}
    assert used <= set(document["secrets"])


def test_services_find_one_another_by_names_that_stand_for_every_replica() -> None:
    listed = registry(topology("qdrant"))["services"]
    assert listed["retrieval"] == [{"name": "retrieval", "url": "http://retrieval:8080", "every_address": True}]
    assert "vector" in listed and "postgres" not in listed


@pytest.mark.parametrize("store", ["pgvector", "qdrant"])
def test_secrets_are_files_that_nobody_else_reads_and_the_stack_file_holds_none(store: Any, tmp_path: Path) -> None:
    credentials, passwords = Credentials.fresh(), Passwords()
    options = StackOptions("r1", tmp_path / "work", tmp_path, vector_store=store)
    file = write(tmp_path / "deploy", topology(store), plan(topology(store)), options, credentials, passwords)
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    for thing in (*document["secrets"].values(), *document["configs"].values()):
        assert (file.parent / thing["file"]).is_file()
    secrets = (
        credentials.api_key, credentials.jwt_secret, credentials.provider_key, credentials.admin_token, passwords.postgres, passwords.cache,
    )  # fmt: skip
    assert not [secret for secret in secrets if secret in file.read_text(encoding="utf-8")]
    assert {path.stat().st_mode & 0o077 for path in (file.parent / "secrets").iterdir()} == {0}
    profile = json.loads((file.parent / "secrets" / "profile_llm").read_text(encoding="utf-8"))
    assert profile["api_keys"] == [credentials.provider_key]
    assert (file.parent / "secrets" / "database_url").read_text().startswith(f"postgresql://postgres:{passwords.postgres}@postgres:5432/")


def test_the_client_takes_the_whole_file(tmp_path: Path) -> None:
    if reason := why_not("stack config --help"):
        pytest.skip(reason)
    options = StackOptions("r1", tmp_path / "work", tmp_path)
    file = write(tmp_path / "deploy", topology(), plan(topology()), options, Credentials.fresh(), Passwords())
    done = subprocess.run(["docker", "stack", "config", "--compose-file", file], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert "unsupported" not in done.stderr.lower()
    assert len(yaml.safe_load(done.stdout)["services"]) == len(topology().services)
