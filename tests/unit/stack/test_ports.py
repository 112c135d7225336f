from __future__ import annotations

import socket
import subprocess
import sys
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
    monkeypatch.setattr(ports, "_reserve", lambda port: None)
    with pytest.raises(StackError, match="no 2 free loopback ports between 10000 and"):
        ports.free_ports(2)


ASK_AND_WAIT = """
import sys
from harness.stack import ports

ports.LOWEST_PORT = ports._ephemeral_start() - 40
print(*ports.free_ports(20), flush=True)
sys.stdin.read()
"""


def test_two_processes_never_get_the_same_port_before_its_server_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", ASK_AND_WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None and other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        monkeypatch.setattr(ports, "LOWEST_PORT", ports._ephemeral_start() - 40)
        ours = set(ports.free_ports(15))
        other.stdin.close()
    assert len(theirs) == 20 and not theirs & ours


def test_a_reserved_port_refuses_and_its_server_can_listen_on_it() -> None:
    (port,) = ports.free_ports(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=60)
    for _ in range(2):  # and again, after it went down
        with socket.create_server(("127.0.0.1", port)):
            socket.create_connection(("127.0.0.1", port), timeout=60).close()


def test_reservations_are_bounded() -> None:
    for _ in range(100):
        ports.free_ports(1)
    assert len(ports._reserved) <= 64
    assert len(ports.free_ports(100)) == 100
    ports.free_ports(1)
    assert len(ports._reserved) <= 64
