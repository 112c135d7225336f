"""The whole reference stack on each of its drivers, once: it starts, serves, and suffers every actuation that drivers share."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
import redis

from harness.stack.base import StackError
from harness.stack.containers.stack import ContainerStack
from harness.stack.processes import ProcessStack
from tests.e2e.docker_engine import left_by, need_docker
from tests.e2e.running_stack import DOCUMENTS, Running, Traffic, options, started, until

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

PROXIED = frozenset({("retrieval", "postgres"), ("generation", "llm")})


@pytest.fixture(scope="module", params=["processes", "containers"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    chosen = options(tmp_path_factory.mktemp("logs"), proxied_edges=PROXIED)
    if request.param == "containers":
        need_docker()
        with started(ContainerStack(chosen), chosen) as running:
            yield running
        assert left_by(chosen.run_id) == []
    else:
        with started(ProcessStack(chosen), chosen) as running:
            yield running
    assert not chosen.work_dir.exists()


def test_everything_is_ready_and_answers_with_its_facts(running: Running) -> None:
    stack = running.stack
    assert {service: len(stack.instances(service)) for service in stack.info.services} == stack.info.services
    assert {i.name: stack.probe(i) for service in stack.info.services for i in stack.instances(service) if stack.probe(i)} == {}
    question = next(q for q in running.questions if q["canary"])
    answer = running.client.post("/api/ask", json={"question": question["question"]})
    assert answer.status_code == 200
    body = answer.json()
    assert question["canary"] in body["answer"] and set(question["gold"]) & set(body["citations"])
    assert (body["degraded"], body["provider"], body["version"]) == (False, "llm", "1.0.0")
    with psycopg.connect(running.one("postgres").url) as connection:
        assert connection.execute("SELECT count(*) FROM documents").fetchone() == (DOCUMENTS,)


def test_an_operator_is_told_nothing_of_proxies_or_faults(running: Running) -> None:
    targets = running.stack.targets()
    text = json.dumps(targets) + Path(targets["registry"]).read_text()
    assert not [word for word in ("proxy", "fault", "admin", "scenario", "mock") if word in text.lower()]
    assert targets["static"] == {"postgres": [running.one("postgres").url], "cache": [running.one("cache").url]}
    for service in ("retrieval", "generation"):
        environment = psutil.Process(running.one(service).pid).environ()
        assert not [name for name in environment if "PROXY" in name.upper() or "FAULT" in name.upper()]


def test_the_proxied_edges_go_through_their_proxies_and_no_other_does(running: Running) -> None:
    (running.search(), running.ask())
    for caller, callee in PROXIED:
        api = running.stack.proxy(caller, callee)
        assert api.url.startswith("http://127.0.0.1:") and api.token
    used = {service: psutil.Process(running.one(service).pid).environ()["DATABASE_URL"] for service in ("retrieval", "user", "document")}
    assert used["retrieval"] != used["user"] == used["document"]
    with pytest.raises(StackError, match="no proxy on gateway->cache"):
        running.stack.proxy("gateway", "cache")


def test_the_admin_api_of_a_provider_is_reachable_with_its_token(running: Running) -> None:
    api = running.stack.admin("llm")
    assert httpx.get(f"{api.url}/admin/faults").status_code == 401
    assert httpx.get(f"{api.url}/admin/faults", headers={"authorization": f"Bearer {api.token}"}).json() == {"faults": []}
    with pytest.raises(StackError, match="query has no admin API"):
        running.stack.admin("query")


def test_a_restarted_provider_still_has_its_faults(running: Running) -> None:
    api, instance = running.stack.admin("llm"), running.one("llm")
    with httpx.Client(base_url=f"{api.url}/admin/", headers={"authorization": f"Bearer {api.token}"}, trust_env=False) as admin:
        document = {"type": "slow_first_token", "ttft_s": 0.5, "ttl_s": 60}
        assert admin.put("faults/kept", json=document).status_code == 200
        running.stack.kill(instance.name)
        running.stack.restart(instance.name)
        (kept,) = admin.get("faults").json()["faults"]
        assert kept.items() >= {"id": "kept", **document}.items() and 0 < kept["expires_in_s"] < 60
        assert admin.delete("faults").status_code == 204
        running.stack.kill(instance.name)
        running.stack.restart(instance.name)
        assert admin.get("faults").json() == {"faults": []}


def test_a_killed_replica_is_down_until_it_is_restarted(running: Running) -> None:
    stack, before = running.stack, running.one("retrieval")
    stack.kill(before.name)
    assert running.one("retrieval").pid is None and "refused" in (stack.probe(before) or "")
    assert running.ask().status_code == 200
    stack.restart(before.name)
    after = running.one("retrieval")
    assert stack.probe(after) is None and after.url == before.url and after.pid not in (None, before.pid)


@pytest.mark.parametrize("service", ["retrieval", "postgres", "cache"])
def test_a_paused_instance_fails_its_probe_within_a_second_and_thaws(running: Running, service: str) -> None:
    stack, instance = running.stack, running.one(service)
    stack.set_paused(instance.name, True)
    try:
        started = time.monotonic()
        assert stack.probe(instance) is not None
        assert time.monotonic() - started < 10.0, "a second, on a machine that does nothing else"
    finally:
        stack.set_paused(instance.name, False)
    until(lambda: stack.probe(instance) is None)


def test_killed_engines_come_back_with_their_data(running: Running) -> None:
    stack, database, cache = running.stack, running.one("postgres"), running.one("cache")
    with redis.Redis.from_url(cache.url) as client:
        client.set("kept", "yes")
    for instance in (database, cache):
        stack.kill(instance.name)
        stack.restart(instance.name)
    with redis.Redis.from_url(cache.url) as client:
        assert client.get("kept") == b"yes"
    with psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM chunks").fetchone() == (True,)
    assert (running.one("postgres").url, running.one("cache").url) == (database.url, cache.url)
    until(lambda: running.search().status_code == 200)


def test_scaling_up_and_down_fails_no_request(running: Running) -> None:
    def change() -> None:
        running.stack.scale("retrieval", 3)
        assert running.stack.probe(running.one("retrieval", 3)) is None
        running.stack.scale("retrieval", 2)

    assert Traffic(running).during(change) == []
    assert [i.name for i in running.stack.instances("retrieval")] == ["retrieval-1", "retrieval-2"]


@pytest.mark.parametrize("service", ["generation", "query"])
def test_a_rolling_deployment_fails_no_request(running: Running, service: str) -> None:
    before = {i.pid for i in running.stack.instances(service)}
    assert Traffic(running).during(lambda: running.stack.deploy(service, "1.1.0")) == []
    after = running.stack.instances(service)
    assert {i.version for i in after} == {"1.1.0"} and not before & {i.pid for i in after}
    metrics = httpx.get(f"{after[0].url}/metrics").text
    assert f'rag_build_info{{service="{service}",version="1.1.0"}} 1.0' in metrics
    assert running.stack.deploy(service, "1.0.0") == "1.1.0"


def test_an_instance_can_leave_the_rotation_and_return(running: Running) -> None:
    running.stack.set_in_rotation("generation-1", False)
    listed = json.loads(Path(running.stack.targets()["registry"]).read_text())["services"]["generation"]
    assert [entry["name"] for entry in listed] == ["generation-2"]
    running.stack.set_in_rotation("generation-1", True)
    with pytest.raises(StackError, match="cannot be taken out of rotation"):
        running.stack.set_in_rotation("postgres-1", False)


def test_switching_the_provider_is_noticed_and_taken_back(running: Running) -> None:
    previous = running.stack.configure({"llm_provider": "llm_fallback"})
    assert previous == {"llm_provider": "llm"}
    until(lambda: running.ask().json().get("provider") == "llm_fallback")
    assert "fallback_provider" in running.ask().json()["degraded_reasons"]
    running.stack.configure(previous)
    until(lambda: running.ask().json().get("provider") == "llm")


def test_clearing_the_cache_keeps_the_queue(running: Running) -> None:
    running.ask()
    with redis.Redis.from_url(running.one("cache").url, decode_responses=True) as client:
        length = client.xlen("ingest")
        running.stack.clear_cache()
        epoch = json.loads(Path(running.stack.targets()["registry"]).read_text())["settings"]["cache_epoch"]
        assert epoch == 1 and client.xlen("ingest") == length
        until(lambda: running.ask() and list(client.scan_iter("retrieval:1:*")))
