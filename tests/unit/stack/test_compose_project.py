"""What is made of a team's compose file: everything that a run must have otherwise, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from harness.scenario.model import StackSpec
from harness.scenario.services import ComposeService
from harness.stack.base import Limits, StackError
from harness.stack.compose.addresses import observed, url_of
from harness.stack.compose.instance import limits_of
from harness.stack.compose.project import REACH, Beside, Plan, misfits, project
from harness.sweep_containers import RUN_LABEL

LABELS = {RUN_LABEL: "r1"}
THEIRS: dict[str, Any] = {
    "name": "shop",
    "services": {
        "web": {
            "image": "nginx:1.27",
            "container_name": "shop-web",
            "networks": {"default": None},
            "ports": [{"mode": "ingress", "target": 80, "published": "80", "protocol": "tcp"}],
            "labels": {"team": "a"},
        },
        "app": {
            "build": {"context": "/shop/app"},
            "environment": {"KEEP": "p$$w", "OPENAI_API_KEY": "theirs"},
            "deploy": {"replicas": 3, "resources": {"limits": {"memory": "64000000"}}},
            "networks": {"default": None, "back": {"aliases": ["api"]}},
            "links": ["cache:store"],
            "depends_on": {"cache": {"condition": "service_started", "required": True}},
        },
        "cache": {"image": "redis:7", "container_name": "shop-cache", "networks": {"back": None}, "volumes": []},
        "worker": {"image": "worker", "networks": {"default": None}, "ports": [{"target": 9}], "scale": 2},
    },
    "networks": {"default": {"name": "shop_default", "ipam": {}}, "back": {"name": "fixed", "internal": True}},
    "volumes": {"data": {"name": "precious"}, "given": {"name": "others", "external": True}},
}
SPEC = StackSpec.model_validate(
    {
        "use": "compose",
        "file": "compose.yaml",
        "llm": True,
        "services": {
            "web": {"port": 80, "entry": True},
            "app": {"port": 8000, "environment": {"OPENAI_BASE_URL": "{llm}/v1", "OPENAI_API_KEY": "{llm_key}", "BILL": "$5 {x}"}},
            "cache": {"role": "redis"},
        },
        "edges": [["web", "app"], ["app", "cache"], ["app", "llm"]],
    }
)
PLAN = Plan("r1", {"web": 10001, "app": 10002, "cache": 10003, "llm": 10004}, 8 << 30, llm_url="http://llm:8080", llm_key="sk-1")


def made(**changes: Any) -> dict[str, Any]:
    given = {"run_id": "r1", "ports": PLAN.ports, "memory_bytes": 8 << 30, "llm_url": PLAN.llm_url, "llm_key": PLAN.llm_key}
    return project(THEIRS, SPEC, Plan(**{**given, **changes}))


def without(service: str, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in THEIRS["services"][service].items() if key not in keys}


def loopback(port: int, inside: int) -> dict[str, Any]:
    return {"mode": "ingress", "host_ip": "127.0.0.1", "target": inside, "published": str(port), "protocol": "tcp"}


def test_a_run_has_names_and_ports_of_its_own() -> None:
    before = copy.deepcopy(THEIRS)
    document = made()
    assert before == THEIRS
    assert "name" not in document
    memory = {"mem_limit": str(8 << 30), "memswap_limit": str(8 << 30)}
    assert document["services"]["web"] == {
        **without("web", "container_name"),
        **memory,
        "ports": [loopback(10001, 80)],
        "labels": {"team": "a", **LABELS},
        "networks": {"default": {"aliases": ["shop-web"]}},
    }
    assert document["services"]["worker"] == {**without("worker", "ports"), "labels": LABELS}  # not mapped: as many as they say
    assert document["networks"]["default"] == {"ipam": {}, "labels": LABELS}
    assert document["volumes"] == {"data": {"labels": LABELS}, "given": {"name": "others", "external": True}}


def test_a_service_has_other_variables_and_its_own_limits() -> None:
    app = made()["services"]["app"]
    assert app["image"] == "shop-app"
    assert app["environment"] == {"KEEP": "p$$w", "OPENAI_BASE_URL": "http://llm:8080/v1", "OPENAI_API_KEY": "sk-1", "BILL": "$$5 {x}"}
    assert app["deploy"] == {"resources": {"limits": {"memory": "64000000"}}}
    assert "mem_limit" not in app
    assert app["depends_on"] == {name: {"condition": "service_started", "required": True} for name in ("cache", "llm")}


def test_a_hidden_service_is_reached_by_a_network_that_leads_nowhere() -> None:
    document = made()
    assert document["services"]["cache"]["networks"] == {"back": {"aliases": ["shop-cache"]}, REACH: None}
    assert document["services"]["app"]["networks"] == THEIRS["services"]["app"]["networks"]
    assert document["networks"][REACH]["driver_opts"] == {"com.docker.network.bridge.enable_ip_masquerade": "false"}


def test_the_mock_is_wherever_it_could_be_asked() -> None:
    document = made(beside=[Beside("llm", {"image": "mock"})])
    networks = dict.fromkeys(["default", "back", REACH])
    assert document["services"]["llm"] == {"image": "mock", "labels": LABELS, "networks": networks}


def test_a_proxy_goes_by_every_name_of_the_callee_for_its_caller_alone() -> None:
    document = made(beside=[Beside("cache-for-app", {"image": "proxy"}, ("app", "cache"))])
    assert set(document["services"]["cache-for-app"]["networks"]) == {"default", "back", REACH}
    links = ["cache:store", "cache-for-app:cache", "cache-for-app:shop-cache"]
    assert document["services"]["app"]["links"] == links
    assert "links" not in document["services"]["web"]


def test_what_does_not_fit_is_told() -> None:
    resolved = copy.deepcopy(THEIRS)
    resolved["services"]["llm"] = {"image": "theirs"}
    resolved["services"]["web"]["network_mode"] = "host"
    del resolved["services"]["cache"]
    found = dict(misfits(resolved, SPEC))
    assert found["web"].startswith("'web' runs with network_mode 'host'")
    assert found["cache"].startswith("compose.yaml has no service 'cache'; ")
    assert found[None].startswith("compose.yaml has a service 'llm' itself")
    with pytest.raises(StackError, match="network_mode 'host'"):
        project(resolved, SPEC, PLAN)


@pytest.mark.parametrize(
    ("mapped", "service", "url"),
    [
        ({"port": 8000}, {}, "http://127.0.0.1:7"),
        ({"role": "redis"}, {}, "redis://127.0.0.1:7/0"),
        ({"role": "redis"}, {"command": ["redis-server", "--requirepass", "a$$b"]}, "redis://:a%24b@127.0.0.1:7/0"),
        ({"role": "redis"}, {"environment": {"REDIS_PASSWORD": "p"}}, "redis://:p@127.0.0.1:7/0"),
        ({"role": "postgres"}, {"environment": {"POSTGRES_PASSWORD": None}}, "postgresql://postgres@127.0.0.1:7/postgres"),
        (
            {"role": "postgres"},
            {"environment": {"POSTGRES_USER": "u", "POSTGRES_PASSWORD": "a@b", "POSTGRES_DB": "d"}},
            "postgresql://u:a%40b@127.0.0.1:7/d",
        ),
    ],
)
def test_addresses_have_the_credentials_that_the_service_was_started_with(
    mapped: dict[str, Any], service: dict[str, Any], url: str
) -> None:
    assert url_of(ComposeService.model_validate(mapped), service, 7) == url


def test_limits_are_read_however_they_were_given() -> None:
    assert limits_of({"NanoCpus": 500_000_000, "CpuQuota": 0, "Memory": 7}) == Limits(0.5, 7)
    assert limits_of({"CpuQuota": 20_000, "CpuPeriod": 100_000, "Memory": 0}) == Limits(0.2, None)
    assert limits_of({"CpuQuota": -1}) == Limits(None, None)


def test_an_operator_is_told_where_to_look() -> None:
    usual, other = ComposeService(port=1, metrics="/metrics", health="/ok"), ComposeService(port=1, metrics="/m")
    assert observed(usual, "http://u") == {"kind": "http", "critical": True, "health": "http://u/ok"}
    assert observed(other, "http://u") == {"kind": "http", "critical": True, "health": None, "metrics": "http://u/m"}
    assert observed(ComposeService(role="redis"))["metrics"] is None
