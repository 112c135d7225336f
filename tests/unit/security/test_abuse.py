"""Abuse of a small gateway whose doors a test opens one by one: each is found, and nothing else; and what proves nothing is no pass."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.security import abuse
from harness.pipeline.steps.security.abuse import Abuse, carry_out
from harness.scenario.problem import ScenarioError
from harness.score.check import Status
from harness.security.abuse.plan import FAMILIES, parse
from harness.testing import InconclusiveError
from harness.testing.stack import StackProcess
from tests.unit.security.weak_gateway import SECRET, WeakGateway

PLAN = """
url: {url}
key: {{environment: KEY}}
second_key: {{environment: SECOND}}
signing_key: {{environment: SIGNING}}
routes:
  protected: {{get: /usage}}
  token: {{post: /token, json: {{}}, field: access_token}}
  ask: {{post: /ask, json: {{question: "{{text}}"}}, field: answer}}
  ingest: {{post: /documents, json: {{id: "{{id}}", text: "{{text}}"}}}}
  document: {{get: "/documents/{{id}}", field: status, done: [indexed]}}
admin: [{{get: /admin}}]
max_body_bytes: 200000
max_requests: 30
"""
ENVIRONMENT = {"KEY": "key-of-alice-1", "SECOND": "key-of-bob-22", "SIGNING": SECRET}


def abused(folder: Path, plan: str, environment: dict[str, str] | None = None, **options: Any) -> tuple[StepResult, list[dict[str, str]]]:
    (folder / "abuse.yaml").write_text(plan)
    step = folder / "step"
    step.mkdir(exist_ok=True)
    context = Context(step, folder, ENVIRONMENT if environment is None else environment, {}, lambda _line: None, lambda: False)
    done = carry_out(Abuse(plan="abuse.yaml", **options), context)
    kept = step / "attempts.json"
    return done, json.loads(kept.read_text())["attempts"] if kept.exists() else []


def only(*families: str) -> str:
    """The plan with these families alone."""
    return PLAN + "leave_out: {{" + ", ".join(f"{one}: not tried in this test" for one in FAMILIES if one not in families) + "}}\n"


@pytest.fixture
def gateway(request: pytest.FixtureRequest) -> Iterator[WeakGateway]:
    weak = WeakGateway(frozenset(getattr(request, "param", ())))
    yield weak
    weak.close()


def test_a_gateway_that_holds_passes(gateway: WeakGateway, tmp_path: Path) -> None:
    done, attempts = abused(tmp_path, PLAN.format(url=gateway.url))
    assert done.status is Status.PASS, done.reason
    assert {one["family"] for one in attempts} == set(FAMILIES) and {one["status"] for one in attempts} == {"PASS"}
    assert len(attempts) > 45
    kept = "".join(path.read_text() for path in done.evidence.values())
    assert not any(secret in kept for secret in ENVIRONMENT.values())


@pytest.mark.parametrize(
    ("gateway", "family", "names"),
    [
        (["no_auth"], "tokens", {"missing", "empty", "alg_none", "wrong_key"}),
        (["alg_none"], "tokens", {"alg_none", "alg_None", "alg_NONE"}),
        (["unsigned_claims"], "tokens", {"wrong_key", "empty_key", "altered_claims", "altered_roles", "no_signature", "own_key"}),
        (["no_expiry"], "tokens", {"expired", "without_expiry"}),
        (["big_bodies"], "bodies", {"nested", "no_json"}),
        (["climbs"], "traversal", {"ingest:'../../etc/passwd'"}),
        (["breaks"], "traversal", {"ingest:'../../etc/passwd'"}),
        (["smuggles"], "smuggling", {"two_lengths", "list_of_lengths", "te_unknown", "signed_length"}),
        (["obeys"], "injection", {"document"}),
        (["obeys_users"], "injection", {"question"}),
        (["shared"], "tenants", {"ask", "document"}),
        (["open_admin"], "admin", {"/admin"}),
        (["no_limit"], "rate", {"limit"}),
        (["trusts_forwarded"], "rate", {"x-forwarded-for"}),
    ],
    indirect=["gateway"],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_each_open_door_is_found(gateway: WeakGateway, family: str, names: set[str], tmp_path: Path) -> None:
    done, attempts = abused(tmp_path, only(family).format(url=gateway.url))
    assert done.status is Status.FAIL
    failed = {one["name"] for one in attempts if one["status"] == "FAIL"}
    assert names <= failed
    assert family != "tokens" or all(one["sent"].startswith("GET /usage, ") for one in attempts), "which door it was is told"
    assert all(finding.rule == "abuse.passed" and finding.path == "abuse.yaml" for finding in done.findings)
    if "no_auth" not in gateway.flaws:  # and the doors that hold are not blamed
        assert len(failed) < len(attempts) or family in ("injection", "tenants", "admin", "rate")


@pytest.mark.parametrize("gateway", [["down_after_bodies"]], indirect=True)
def test_refusals_of_a_service_that_broke_prove_nothing(gateway: WeakGateway, tmp_path: Path) -> None:
    done, attempts = abused(tmp_path, only("bodies").format(url=gateway.url))
    assert done.status in (Status.INCONCLUSIVE, Status.FAIL)
    assert not [one for one in attempts if one["status"] == "PASS"]
    assert "the control after it did not work: 503" in done.reason or done.status is Status.FAIL


def test_a_refused_connection_is_no_pass(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        done, attempts = abused(tmp_path, PLAN.format(url=f"http://127.0.0.1:{free.getsockname()[1]}"))
    assert done.status is Status.INCONCLUSIVE and "the control before it did not work: no answer" in done.reason
    assert [one["status"] for one in attempts] == ["INCONCLUSIVE"] * len(FAMILIES)


def test_a_wrong_key_is_no_pass(gateway: WeakGateway, tmp_path: Path) -> None:
    done, _ = abused(tmp_path, only("tokens").format(url=gateway.url), {**ENVIRONMENT, "KEY": "wrong"})
    assert done.status is Status.INCONCLUSIVE and "the control before it did not work: 401" in done.reason
    done, _ = abused(tmp_path, only("tokens").format(url=gateway.url), {})
    assert (done.status, done.reason) == (
        Status.INCONCLUSIVE,
        "without its credentials nothing can be tried: the environment variable KEY is not set",
    )


def test_what_the_plan_does_not_name_is_inconclusive_unless_it_is_left_out(gateway: WeakGateway, tmp_path: Path) -> None:
    bare = f"url: {gateway.url}\nkey: {{environment: KEY}}\nroutes: {{protected: {{get: /usage}}}}\n"
    done, attempts = abused(tmp_path, bare)
    silent = {one["family"] for one in attempts if one["name"] == "control"}
    assert done.status in (Status.INCONCLUSIVE, Status.FAIL) and {"bodies", "traversal", "injection", "tenants", "admin"} <= silent


@pytest.mark.parametrize("gateway", [["alice_unlimited"]], indirect=True)
def test_a_limit_is_met_with_the_key_that_has_one(gateway: WeakGateway, tmp_path: Path) -> None:
    plan = only("rate").format(url=gateway.url)
    assert abused(tmp_path, plan)[0].status is Status.FAIL, "the key itself has none"
    done, attempts = abused(tmp_path, f"{plan}limited_key: {{environment: SECOND}}\n")
    assert done.status is Status.PASS and attempts[0]["reason"] == "limited at request 13"


def test_without_an_address_and_without_a_stack_there_is_nothing_to_abuse(tmp_path: Path) -> None:
    done, attempts = abused(tmp_path, "key: {environment: KEY}\nroutes: {protected: {get: /usage}}\n")
    assert (done.status, attempts) == (Status.FAIL, [])
    assert done.reason == "abuse.yaml names no url, and the step starts no stack: write url: http://127.0.0.1:8000"


def test_a_stack_that_does_not_start_is_no_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_wanted: object, _place: Path) -> StackProcess:
        raise InconclusiveError("the stack did not start:\npostgres-1 ended")

    monkeypatch.setattr(abuse, "StackProcess", fails)
    done, attempts = abused(tmp_path, "key: {environment: KEY}\nroutes: {protected: {get: /usage}}\n", stack="processes")
    assert (done.status, done.reason, attempts) == (Status.INCONCLUSIVE, "the stack did not start: postgres-1 ended", [])


def test_time_is_bounded(gateway: WeakGateway, tmp_path: Path) -> None:
    done, attempts = abused(tmp_path, PLAN.format(url=gateway.url), max_s=1e-6)
    assert done.status is Status.INCONCLUSIVE and {one["reason"] for one in attempts} == {"time or requests of this step were used up"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "url: http://10.0.0.1:80\nkey: {environment: K}\nroutes: {protected: {get: /}}\n",
            "p:1:6: 10.0.0.1 is not this machine; abuse goes to 127.0.0.1",
        ),
        ("url: http://localhost:80\nkey: {environment: K}\nroutes: {protected: {get: /}}\n", "p:1:6: localhost is not this machine"),
        ("url: http://127.0.0.1\nkey: {}\nroutes: {protected: {get: /}}\n", "p:2:6: one of environment and file is needed"),
        ("url: http://127.0.0.1\nkey: {environment: K}\nroutes: {protected: {}}\n", "p:3:21: one of get and post is needed"),
        (
            "url: http://127.0.0.1\nkey: {environment: K}\nroutes: {protected: {get: /}}\nadmin:\n- {get: 'http://192.168.0.9/x'}\n",
            "p:5:3: 192.168.0.9 is not this machine",
        ),
        ("url: http://127.0.0.1\nkey: {environment: K}\nroutes: {protected: {get: /}}\nleave_out: {tokns: x}\n", "p:4:13: "),
        ("", "p:1:1: the file is empty"),
    ],
)
def test_bad_plans_are_refused_with_their_place(text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        parse(text, "p")
    assert str(refused.value).startswith(said)


def test_a_host_that_is_named_is_allowed() -> None:
    text = "url: http://gateway.internal\nallow_hosts: [gateway.internal]\nkey: {file: k}\nroutes: {protected: {get: /}}\n"
    assert parse(text, "p").url == "http://gateway.internal"
