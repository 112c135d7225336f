from __future__ import annotations

import socket
from pathlib import Path

import pytest

from harness.stack import ports
from harness.stack.base import StackError


def test_ports_are_different_free_and_below_the_ephemeral_range() -> None:
    start = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = ports.free_ports(20)
    assert len(set(found)) == 20
    assert all(ports.LOWEST_PORT <= port < start for port in found)
    assert all(ports.is_free(port) for port in found)


def test_a_port_somebody_listens_on_is_not_free() -> None:
    (port,) = ports.free_ports(1)
    with socket.create_server(("127.0.0.1", port)):
        assert not ports.is_free(port)
    assert ports.is_free(port)


def test_an_ephemeral_range_that_leaves_no_room_is_used_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    setting = tmp_path / "range"
    setting.write_text("1024\t65535\n")
    monkeypatch.setattr(ports, "_EPHEMERAL_RANGE", setting)
    found = ports.free_ports(3)
    assert len(set(found)) == 3


def test_without_free_ports_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_bind", lambda port: None)
    with pytest.raises(StackError, match="no 2 free loopback ports between 10000 and"):
        ports.free_ports(2)
