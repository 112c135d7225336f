"""The admin API of a mock: who may, what it answers, and what it says of what it does not take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.common.journal import Journal
from mocks.faults.admin import Admin
from mocks.faults.table import FaultTable
from mocks.http.message import Request
from mocks.llm.faults import FAULTS
from mocks.llm.plan import Plan
from tests.unit.mocks_llm.served import Clock, FakeReply
from tests.unit.test_mock_journal import Row

TOKEN = "s3cret"
SLOW = {"type": "slow_first_token", "ttft_s": 3.0}


class Profiles:
    def __init__(self) -> None:
        self.document: dict[str, Any] = {"speed": 1}

    def shown(self) -> dict[str, Any]:
        return self.document

    def change(self, document: dict[str, Any]) -> None:
        if "speed" not in document:
            raise ValueError("speed must be given")
        self.document = document


class Rig:
    def __init__(self) -> None:
        self.faults: FaultTable[Plan] = FaultTable(FAULTS, lambda: 0.0, seed=0)
        self.journal = Journal()
        self.admin = Admin(TOKEN, self.faults, self.journal, lambda limit: [{"n": "open"}][:limit], Profiles())

    def ask(self, method: str, path: str, body: Any = None, token: str = f"Bearer {TOKEN}", query: str = "") -> FakeReply:
        reply = FakeReply(Clock())
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.admin(Request(method, path, query, {b"authorization": token.encode()}, raw, 1, 1, 0.0, path), reply)
        return reply


@pytest.fixture
def rig() -> Iterator[Rig]:
    yield Rig()


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer ", "Bearer no", f"Basic {TOKEN}", f"Bearer {TOKEN} "])
def test_nobody_gets_in_without_the_token(rig: Rig, token: str) -> None:
    for path in ("/admin/faults", "/admin/journal", "/admin/openapi.json", "/nothing"):
        reply = rig.ask("GET", path, token=token)
        assert (reply.status, reply.document["error"]["code"], reply.headers["www-authenticate"]) == (401, "unauthorized", "Bearer")


def test_faults(rig: Rig) -> None:
    put = rig.ask("PUT", "/admin/faults/slow", SLOW)
    assert (put.status, put.document) == (200, {**SLOW, "id": "slow", "expires_in_s": None, "matched": 0, "applied": 0})
    assert rig.ask("GET", "/admin/faults").document == {"faults": [put.document]}
    for _ in range(2):
        assert rig.ask("DELETE", "/admin/faults/slow").status == 204
    rig.ask("PUT", "/admin/faults/slow", SLOW)
    assert (rig.ask("DELETE", "/admin/faults").status, rig.faults.views()) == (204, [])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("PUT", "/admin/faults/x", b"{", 400, "invalid_json"),
        ("PUT", "/admin/faults/x", [1], 400, "invalid_fault"),
        ("PUT", "/admin/faults/x", {"type": "nope"}, 400, "invalid_fault"),
        ("PUT", "/admin/faults/a%20b", SLOW, 400, "invalid_fault"),
        ("PUT", "/admin/profile", {}, 400, "invalid_profile"),
        ("PUT", "/admin/profile", 3, 400, "invalid_profile"),
        ("GET", "/admin/nothing", None, 404, "not_found"),
        ("POST", "/admin/faults", None, 405, "method_not_allowed"),
    ],
)
def test_what_it_does_not_take(rig: Rig, method: str, path: str, body: Any, status: int, code: str) -> None:
    reply = rig.ask(method, path, body)
    assert (reply.status, reply.document["error"]["code"]) == (status, code)
    assert reply.document["error"]["message"]


def test_the_journal(rig: Rig) -> None:
    for n in range(5):
        rig.journal.seal(Row({"n": n}))
    everything = rig.ask("GET", "/admin/journal").document
    assert [row["seq"] for row in everything["requests"]] == [1, 2, 3, 4, 5]
    assert everything.items() >= {"id": rig.journal.id, "next": 5, "lost": 0, "cleared": 0, "open": []}.items()
    assert [row["n"] for row in rig.ask("GET", "/admin/journal", query="limit=2").document["requests"]] == [3, 4]
    page = rig.ask("GET", "/admin/journal", query="after=1&limit=2").document
    assert ([row["n"] for row in page["requests"]], page["next"]) == ([1, 2], 3)
    assert rig.ask("GET", "/admin/journal", query="open=true").document["open"] == [{"n": "open"}]
    assert rig.ask("DELETE", "/admin/journal").status == 204
    emptied = rig.ask("GET", "/admin/journal", query="after=0").document
    assert (emptied["lost"], emptied["cleared"]) == (5, 5)


@given(value=st.text(max_size=12) | st.integers(-5, 10**30).map(str))
def test_numbers_in_the_query(value: str) -> None:
    rig, encoded = Rig(), "".join(f"%{byte:02x}" for byte in value.encode())
    for name in ("limit", "after"):
        reply = rig.ask("GET", "/admin/journal", query=f"{name}={encoded}")
        fine = value.isascii() and value.isdecimal() and len(value) <= 18
        assert reply.status == (200 if fine else 400)


def test_the_profile(rig: Rig) -> None:
    assert rig.ask("GET", "/admin/profile").document == {"speed": 1}
    assert rig.ask("PUT", "/admin/profile", {"speed": 2}).document == {"speed": 2}


def test_its_description_names_every_route(rig: Rig) -> None:
    document = rig.ask("GET", "/admin/openapi.json").document
    found = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert len(found) == 9
    for method, path in found:
        body = SLOW if "faults" in path else {"speed": 1}
        reply = rig.ask(method, path.replace("{fault_id}", "x"), body)
        assert str(reply.status) in document["paths"][path][method.lower()]["responses"]
    without = Admin(TOKEN, rig.faults, rig.journal, lambda _limit: [])
    reply = FakeReply(Clock())
    without(Request("GET", "/admin/profile", "", {b"authorization": b"Bearer s3cret"}, b"", 1, 1, 0.0, "/admin/profile"), reply)
    assert reply.status == 404
