"""Members and rollouts, on small real services."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.stack import http_probe, supervise
from harness.stack.base import StackError
from harness.stack.ports import free_ports, is_free
from harness.stack.ready import Probe, wait_ready
from harness.stack.registry import RegistryFile
from harness.stack.rollout import Rollout, Roster
from harness.stack.supervise import Member
from harness.stack.topology import topology
from tests.unit.stack.fakes import FakeClock, SmallService


class Fleet:
    """A roster of small services under the name `query`, with its rollouts."""

    def __init__(self, folder: Path) -> None:
        self.launch = SmallService(folder)
        self.roster = Roster(topology())
        self.registry = RegistryFile(folder)
        self.rollout = Rollout(topology(), self.roster, self.registry, self.member, FakeClock())
        self.given_up: str | None = None
        self._made: list[Member] = []

    def member(self, service: str, name: str, version: str) -> Member:
        member = Member(service, name, version, self.launch, lambda: self.given_up)
        self._made.append(member)
        return member

    def start(self, count: int) -> list[Member]:
        for number in range(1, count + 1):
            member = self.member("query", f"query-{number}", "1.0.0")
            member.start()
            self.roster.put(member)
            self.registry.put("query", member.name, member.url)
        return list(self.roster.of("query"))

    def versions(self) -> list[str]:
        """What those in rotation answer."""
        members = self.roster.of("query")
        return [http_probe.get(m.url)[1].decode() for m in members if self.registry.lists("query", m.name)]

    def close(self) -> None:
        self.given_up = "the test is over"
        for member in self._made:
            member.retire()
            member.stop(2.0)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.close()


def test_a_member_says_what_it_is(fleet: Fleet) -> None:
    (member,) = fleet.start(1)
    described = member.describe()
    assert described.pid is not None
    os.kill(described.pid, 0)
    assert (described.service, described.name, described.version) == ("query", "query-1", "1.0.0")
    assert (described.url, member.probe()) == (f"http://127.0.0.1:{member.port}", None)


def test_after_a_kill_it_has_no_pid_and_comes_back_on_the_same_port(fleet: Fleet) -> None:
    (member,) = fleet.start(1)
    before = member.describe()
    member.kill()
    assert member.describe().pid is None and is_free(member.port)
    assert "Connection refused" in (member.probe() or "")
    with pytest.raises(StackError, match="query-1 has no process"):
        member.kill()
    with pytest.raises(StackError, match="query-1 has no process"):
        member.set_paused(True)
    member.set_paused(False)  # thawing what is gone is no error: a heal may come late
    member.restart()
    assert member.probe() is None
    assert member.describe().url == before.url and member.describe().pid not in (None, before.pid)


def test_a_paused_member_is_not_ready_and_a_restart_frees_it(fleet: Fleet) -> None:
    (member,) = fleet.start(1)
    member.set_paused(True)
    assert member.running
    assert member.probe() is not None
    member.restart()
    assert member.probe() is None


def test_a_version_that_does_not_start_says_why_and_leaves_no_process(fleet: Fleet) -> None:
    broken = fleet.member("query", "query-1", "broken")
    with pytest.raises(StackError, match=r"(?s)query-1 ended before it was ready: exit status 1.*this version cannot start"):
        broken.start()
    assert not broken.running


def test_giving_up_ends_the_wait_for_readiness(fleet: Fleet) -> None:
    fleet.given_up = "the stack is being stopped"
    member = fleet.member("query", "query-1", "never-ready")
    with pytest.raises(StackError, match="ended before it was ready: the stack is being stopped"):
        member.start()
    assert not member.running


def test_a_taken_port_is_exchanged_at_the_first_start_only(fleet: Fleet) -> None:
    member = fleet.member("query", "query-1", "1.0.0")
    taken = member.port
    with socket.create_server(("127.0.0.1", taken)):
        with pytest.raises(StackError, match=r"(?i)address already in use"):
            member.start()
        member.start_first()
        assert member.port != taken and member.probe() is None


def test_a_retired_member_does_not_start_again(fleet: Fleet) -> None:
    (member,) = fleet.start(1)
    member.retire()
    member.stop(5.0)
    with pytest.raises(StackError, match="query-1 is being taken down"):
        member.restart()


def test_restart_through_the_rollout_puts_it_back_into_rotation(fleet: Fleet) -> None:
    first, second = fleet.start(2)
    fleet.registry.withdraw("query", first.name)
    first.kill()
    fleet.rollout.restart(first)
    assert fleet.versions() == ["1.0.0", "1.0.0"]
    pid = second.describe().pid
    fleet.rollout.restart(second)
    assert fleet.versions() == ["1.0.0", "1.0.0"] and second.describe().pid != pid


def test_a_restart_that_does_not_get_ready_fails_but_leaves_the_process_to_recover(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(what: str, probe: Probe, deadline_s: float, **options: Any) -> None:
        end_s = time.monotonic() + 60.0
        while "HTTP 503" not in (probe() or "") and time.monotonic() < end_s:
            time.sleep(0.02)  # the deadline is not for its start, which takes as long as the machine needs
        wait_ready(what, probe, deadline_s, **options)

    (member,) = fleet.start(1)
    monkeypatch.setattr(supervise, "RESTART_DEADLINE_S", 0.1)
    monkeypatch.setattr(supervise, "wait_ready", wait)
    member.version = "never-ready"
    with pytest.raises(StackError, match=r"query-1 not ready within 0\.1 s: HTTP 503: never-ready"):
        fleet.rollout.restart(member)
    assert member.running and fleet.versions() == ["never-ready"]


def test_scale_up_and_down(fleet: Fleet) -> None:
    first, second = fleet.start(2)
    fleet.rollout.scale("query", 3)
    assert [member.name for member in fleet.roster.of("query")] == ["query-1", "query-2", "query-3"]
    assert fleet.versions() == ["1.0.0"] * 3
    fleet.rollout.scale("query", 1)
    assert list(fleet.roster.of("query")) == [first]
    assert fleet.versions() == ["1.0.0"] and not second.running


@pytest.mark.parametrize(
    ("service", "replicas", "message"), [("query", 0, "1 to 8"), ("postgres", 2, "exactly once"), ("x", 1, "no service")]
)
def test_scale_refuses_what_cannot_be(fleet: Fleet, service: str, replicas: int, message: str) -> None:
    with pytest.raises(StackError, match=message):
        fleet.rollout.scale(service, replicas)


def test_deploy_replaces_all_and_returns_what_there_was(fleet: Fleet) -> None:
    before = fleet.start(2)
    assert fleet.rollout.deploy("query", "2.0.0") == "1.0.0"
    assert fleet.versions() == ["2.0.0", "2.0.0"]
    assert [m.version for m in fleet.roster.of("query")] == ["2.0.0", "2.0.0"]
    assert not any(member.running for member in before)


def test_a_deployment_that_fails_leaves_the_rest_in_service(fleet: Fleet) -> None:
    fleet.start(2)
    with pytest.raises(StackError, match="this version cannot start"):
        fleet.rollout.deploy("query", "broken")
    assert fleet.versions() == ["1.0.0", "1.0.0"]


def test_what_is_not_ours_is_not_deployed(fleet: Fleet) -> None:
    for service in ("postgres", "llm"):
        with pytest.raises(StackError, match=f"{service} is not deployed from here"):
            fleet.rollout.deploy(service, "2.0.0")


def test_a_probe_tells_an_unready_service_from_a_dead_port(fleet: Fleet) -> None:
    (port,) = free_ports(1)
    assert "Connection refused" in (http_probe.ready(f"http://127.0.0.1:{port}") or "")
    assert http_probe.requests_in_progress(f"http://127.0.0.1:{port}") is None
    (member,) = fleet.start(1)
    assert http_probe.requests_in_progress(member.url) == 0


def test_the_roster_names_what_there_is(fleet: Fleet) -> None:
    fleet.start(1)
    with pytest.raises(StackError, match="no instance 'query-9'; there are query-1"):
        fleet.roster.get("query-9")
