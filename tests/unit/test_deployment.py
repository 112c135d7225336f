"""The files of mocks/rag/deploy agree with one another and with the contract; no engine is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.stack.images import NAMES, deployment
from harness.stack.topology import topology
from harness.telemetry import contract
from mocks.llm.profile import Profile
from mocks.rag.common.registry import Registry

FOLDER = deployment()
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"credentials", "corpus", "migrate"}
LASTING = sorted(set(SERVICES) - ONCE)
CONTRACT = {value for value in vars(contract).values() if isinstance(value, str) and re.match(r"(rag_|process_)", value)}


def read(*parts: str) -> Any:
    return yaml.safe_load(FOLDER.joinpath(*parts).read_text(encoding="utf-8"))


def instances() -> dict[str, str]:
    """Instance to host of every service of the stack, by the compose file."""
    return {one["environment"]["INSTANCE"]: name for name, one in SERVICES.items() if "INSTANCE" in one.get("environment", {})}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_is_confined(name: str) -> None:
    one = SERVICES[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert set(one["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert "privileged" not in one and "cap_add" not in one and one.get("network_mode") is None
    assert one["logging"]["options"]["max-size"]
    assert one["dns_opt"] == ["ndots:0"]


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_restarted_and_watched(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"].get("disable") is None


@pytest.mark.parametrize("name", sorted(ONCE))
def test_what_is_done_once_is_tried_again_only_where_it_failed(name: str) -> None:
    assert SERVICES[name]["restart"] == "on-failure"


def test_only_the_edge_is_published_and_only_to_this_machine() -> None:
    published = {name: one["ports"] for name, one in SERVICES.items() if one.get("ports")}
    assert set(published) == {"nginx", "prometheus", "alertmanager", "grafana"}
    assert all(port.startswith("127.0.0.1:${RAG_") for ports in published.values() for port in ports)
    assert COMPOSE["networks"]["private"] == {"internal": True}
    assert {name for name, one in SERVICES.items() if one["networks"] != ["private"]} == set(published)


def test_images_are_those_that_are_built_here() -> None:
    used = {one["image"] for name, one in SERVICES.items() if name != "grafana"}
    assert used == {f"rag-gauntlet/{name}:${{RAG_TAG:-latest}}" for name in NAMES if name != "tools"}


def test_no_secret_is_written_down() -> None:
    for name, one in SERVICES.items():
        for variable, value in one.get("environment", {}).items():
            secret = re.search(r"(PASSWORD|SECRET|TOKEN|API_KEY|_URL)", variable)
            assert secret is None or (variable.endswith("_FILE") and value.startswith("/run/rag/")), f"{name}: {variable}"


def test_the_compose_file_deploys_the_topology() -> None:
    declared = {f"{name}-{n + 1}" for name, one in topology().services.items() if one.in_registry for n in range(one.replicas)}
    assert set(instances()) == declared
    for instance, host in instances().items():
        variables = SERVICES[host]["environment"]
        needed = topology().services[instance.rpartition("-")[0]].variables
        assert all(variable in variables or f"{variable}_FILE" in variables for variable in needed), instance


def test_the_registry_names_every_instance_by_its_host() -> None:
    registry = Registry(FOLDER / "config" / "registry.json")
    assert registry.revision == 1
    named = {one.name: one.url for name in topology().services for one in registry.instances(name)}
    assert named == {instance: f"http://{host}:8080" for instance, host in instances().items()}


@pytest.mark.parametrize("provider", ["llm", "llm_fallback"])
def test_the_profiles_are_profiles(provider: str) -> None:
    assert Profile.parse(json.loads((FOLDER / "config" / f"{provider}.json").read_text(encoding="utf-8")))


def test_prometheus_scrapes_every_instance() -> None:
    (job,) = (one for one in read("prometheus", "prometheus.yml")["scrape_configs"] if one["job_name"] == "rag")
    scraped = {one["labels"]["instance"]: (one["labels"]["service"], *one["targets"]) for one in job["static_configs"]}
    assert scraped == {instance: (instance.rpartition("-")[0], f"{host}:8080") for instance, host in instances().items()}


def test_every_alert_names_a_service_a_kind_and_a_severity() -> None:
    alerts = [rule for group in read("prometheus", "rules.yml")["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(alerts) >= 12
    for alert in alerts:
        assert {"severity", "kind"} <= set(alert["labels"]), alert["alert"]
        assert "service" in alert["labels"] or re.search(r"service|\bup\b|process_|probe_", alert["expr"]), alert["alert"]
        assert alert["annotations"]["summary"]


def expressions() -> dict[str, str]:
    """PromQL of rules and dashboard, by where it stands."""
    rules = [rule for group in read("prometheus", "rules.yml")["groups"] for rule in group["rules"]]
    found = {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules}
    for panel in dashboard()["panels"]:
        found |= {f"{panel['title']} {target['refId']}": target["expr"] for target in panel.get("targets", [])}
    return found


def dashboard() -> dict[str, Any]:
    parsed: dict[str, Any] = read("grafana", "dashboards", "rag.json")
    return parsed


@pytest.mark.parametrize("where", sorted(expressions()))
def test_every_metric_that_is_asked_for_is_in_the_contract_or_recorded(where: str) -> None:
    recorded = {rule["record"] for group in read("prometheus", "rules.yml")["groups"] for rule in group["rules"] if "record" in rule}
    expression = re.sub(r'"[^"]*"', "", expressions()[where])
    asked = set(re.findall(r"\b(?:rag|process)_\w+|\b\w+:\w+:\w+", expression))
    bases = {re.sub(r"_(bucket|count)$", "", name) for name in asked if ":" not in name}  # of histograms
    assert bases <= CONTRACT | {"process_max_fds"}  # prometheus-client's own, beside process_open_fds
    assert {name for name in asked if ":" in name} <= recorded


def test_grafana_is_given_what_it_needs() -> None:
    (source,) = read("grafana", "provisioning", "datasources", "prometheus.yaml")["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    (provider,) = read("grafana", "provisioning", "dashboards", "rag.yaml")["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["datasource"]["uid"] == source["uid"] for panel in panels if panel["type"] != "row")
    taken = [(x, y) for p in panels for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"]) for y in _rows(p)]
    assert len(taken) == len(set(taken)), "panels overlap"
    assert all(x < 24 for x, _ in taken)


def _rows(panel: dict[str, Any]) -> range:
    return range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])


def test_everything_that_is_mounted_is_there() -> None:
    mounted = {volume.partition(":")[0] for one in SERVICES.values() for volume in one.get("volumes", []) if volume.startswith("./")}
    assert mounted == {"./config", "./prometheus", "./alertmanager", "./grafana/provisioning", "./grafana/dashboards"}
    assert all((FOLDER / name).is_dir() for name in mounted)
    used = {volume.partition(":")[0] for one in SERVICES.values() for volume in one.get("volumes", [])} - mounted
    assert used == set(COMPOSE["volumes"])


def test_the_deployment_is_text_that_any_user_may_read() -> None:
    assert all(isinstance(path.read_text(encoding="utf-8"), str) for path in Path(FOLDER).rglob("*") if path.is_file())
