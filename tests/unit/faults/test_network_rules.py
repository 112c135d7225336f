"""Rules of packets: what is asked of the tools, with a fake; what they do, in two network namespaces (root)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence

import pytest

from harness.faults.base import FaultError
from harness.faults.network_rules import Place, Rules
from harness.stack import netem
from harness.stack.base import Networked, StackError
from tests.unit.faults.fake_network import FakeNetwork


def test_a_partition_is_a_rule_that_is_set_once_and_found_again() -> None:
    network = FakeNetwork({"query-1": "10.9.0.2"})
    rules = Rules(network, "cut")
    for _ in range(2):
        rules.drop("query-1", ["10.9.0.3", "10.9.0.4"])
    tail = f"10.9.0.3,10.9.0.4 -m comment --comment {rules.tag} -j DROP"
    assert network.asked == [f"iptables -w -I INPUT -s {tail}"]
    assert (rules.look("query-1").own, Rules(network, "other").look("query-1").own) == (1, 0)
    assert rules.look("query-1").others == Rules(network, "other").look("query-1").others, "what faults make is nobody else's"
    Rules(network, "other").clear("query-1")
    assert len(network.rules["query-1"]) == 1
    for _ in range(2):
        rules.clear("query-1")
    assert (network.rules["query-1"], rules.look("query-1").own) == ([], 0)


def test_loss_and_reset_are_drawn_for_each_packet() -> None:
    network = FakeNetwork({"query-1": "10.9.0.2"})
    Rules(network, "lossy").drop("query-1", ["10.9.0.3"], share=0.2)
    Rules(network, "rst").reset("query-1", ["10.9.0.3"], share=0.5)
    drawn = "-m statistic --mode random --probability"
    assert network.asked[0].startswith(f"iptables -w -I INPUT -s 10.9.0.3 {drawn} 0.200000 -m comment")
    assert network.asked[1].startswith(f"iptables -w -I INPUT -s 10.9.0.3 -p tcp --tcp-flags PSH PSH {drawn} 0.500000 -m comment")
    assert network.asked[1].endswith("-j REJECT --reject-with tcp-reset")


def test_what_shapes_is_for_some_addresses_and_goes_with_its_root() -> None:
    network = FakeNetwork({"query-1": "10.9.0.2"})
    rules = Rules(network, "thin")
    assert rules.places("query-1") == [Place("eth0", "10.9.0.2/24")]
    for _ in range(2):
        rules.limit("query-1", ["10.9.0.3", "10.8.0.3"], 500)
    assert [text.split(" ")[1] for text in network.asked] == ["qdisc", "class", "class", "qdisc", "filter"]
    assert "tbf rate 500kbit" in network.asked[3] and "match ip dst 10.9.0.3/32" in network.asked[4], "the other is in no network of its"
    assert (rules.look("query-1").own, rules.look("query-1").shaped) == (1, True)
    rules.clear("query-1")
    assert network.shaped == {}
    rules.disturb("query-1", ["10.9.0.3"], ("delay", "50ms", "5ms"))
    assert network.asked[-2].endswith(f"parent {rules.handle}20 netem delay 50ms 5ms")


def test_what_the_tool_says_is_passed_on() -> None:
    with pytest.raises(FaultError, match="no instance nobody"):
        Rules(FakeNetwork({}), "cut").clear("nobody")
    with pytest.raises(FaultError, match="nobody to be kept from"):
        Rules(FakeNetwork({"query-1": "10.9.0.2"}), "cut").drop("query-1", [])


class Namespaces:
    """Two namespaces with a cable between them: `near`, where the rules go, and `far`, where a server echoes."""

    def __init__(self) -> None:
        tag = uuid.uuid4().hex[:8]
        self.names = {"near": f"gn{tag}", "far": f"gf{tag}"}
        self.addresses = {"near": "10.213.7.1", "far": "10.213.7.2"}
        self.port = 7007
        self._server: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        for name in self.names.values():
            run("ip", "netns", "add", name)
        near, far = self.names.values()
        run("ip", "link", "add", f"v{near}", "netns", near, "type", "veth", "peer", "name", f"v{far}", "netns", far)
        for side, name in self.names.items():
            self.run_in_network(side, ["ip", "addr", "add", f"{self.addresses[side]}/24", "dev", f"v{name}"])
            self.run_in_network(side, ["ip", "link", "set", f"v{name}", "up"])
        serve = (
            "import socket, threading\n"
            "def serve(connection):\n"
            "    with connection:\n"
            "        try:\n"
            "            while data := connection.recv(65536):\n"
            "                connection.sendall(data[:4])\n"
            "        except OSError:\n"
            "            return\n"
            f"listener = socket.create_server(('{self.addresses['far']}', {self.port}))\n"
            "print('listening', flush=True)\n"
            "while True:\n"
            "    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()\n"
        )
        self._server = subprocess.Popen(["ip", "netns", "exec", far, sys.executable, "-c", serve], stdout=subprocess.PIPE)
        assert self._server.stdout is not None and self._server.stdout.readline() == b"listening\n"

    def close(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.communicate()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False)

    def run_in_network(self, instance: str, argv: Sequence[str]) -> str:
        return run("ip", "netns", "exec", self.names[instance], *argv)

    def ask(self, size: int = 4, timeout_s: float = 10.0) -> str | float:
        """Seconds until so many bytes have been sent from near to far and the last ones answered, or how that failed: who is no longer
        connected (ENOTCONN) when it has sent everything has been reset, too.
        """
        script = (
            "import socket, time\n"
            "try:\n"
            f"    with socket.create_connection(('{self.addresses['far']}', {self.port}), timeout={timeout_s}) as connection:\n"
            "        started_s = time.monotonic()\n"
            f"        connection.sendall(b'x' * {size})\n"
            "        connection.shutdown(socket.SHUT_WR)\n"
            "        while connection.recv(65536):\n"
            "            pass\n"
            "        print(time.monotonic() - started_s)\n"
            "except OSError as error:\n"
            "    print('ConnectionResetError' if error.errno == 107 else type(error).__name__)\n"
        )
        said = self.run_in_network("near", [sys.executable, "-c", script]).strip()
        return said if said.isidentifier() else float(said)


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise StackError(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


@pytest.fixture(scope="module")
def namespaces() -> Iterator[Namespaces]:
    missing = [tool for tool in ("ip", "iptables", "tc") if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root{' and ' + ', '.join(missing) if missing else ''}")
    made = Namespaces()
    try:
        try:
            made.open()
        except StackError as error:
            pytest.skip(f"no network namespaces here: {error}")
        yield made
    finally:
        made.close()


@pytest.mark.e2e
def test_a_partition_drops_and_heals_between_real_namespaces(namespaces: Namespaces) -> None:
    assert isinstance(namespaces, Networked)
    rules = Rules(namespaces, "cut")
    hosts = {side: [place.host for place in rules.places(side)] for side in ("near", "far")}
    assert hosts == {side: [address] for side, address in namespaces.addresses.items()}
    for here, there in (("near", "far"), ("far", "near")):
        before = rules.look(here)
        assert isinstance(namespaces.ask(), float)
        rules.drop(here, hosts[there])
        assert namespaces.ask(timeout_s=0.3) == "TimeoutError"
        assert rules.hits(here) > 0
        rules.clear(here)
        assert (rules.look(here), isinstance(namespaces.ask(), float)) == (before, True)


@pytest.mark.e2e
def test_a_reset_ends_what_is_open_and_answers_words_with_rst(namespaces: Namespaces) -> None:
    rules = Rules(namespaces, "rst")
    near = [namespaces.addresses["near"]]
    hold = (
        "import socket\n"
        f"connection = socket.create_connection(('{namespaces.addresses['far']}', {namespaces.port}), timeout=60)\n"
        "connection.sendall(b'word')\n"
        "print(len(connection.recv(9)), flush=True)\n"
        "try:\n"
        "    print(connection.recv(9))\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
    )
    held = subprocess.Popen(["ip", "netns", "exec", namespaces.names["near"], sys.executable, "-c", hold], stdout=subprocess.PIPE)
    assert held.stdout is not None and held.stdout.readline() == b"4\n"
    try:
        rules.cut("far", near)
    except FaultError as error:
        held.kill()
        assert "open_connections: false" in str(error), "a kernel that cannot says what to write instead"
    else:
        assert held.communicate(timeout=60)[0] == b"ConnectionResetError\n"
    finally:
        held.communicate()
    rules.reset("far", near)
    assert namespaces.ask() == "ConnectionResetError"
    assert rules.hits("far") > 0
    rules.clear("far")
    assert isinstance(namespaces.ask(), float)


@pytest.mark.e2e
def test_lost_packets_are_sent_again_late(namespaces: Namespaces) -> None:
    rules = Rules(namespaces, "lossy")
    rules.drop("near", [namespaces.addresses["far"]], share=0.4)
    deadline_s = time.monotonic() + 20.0
    while True:
        took = namespaces.ask(timeout_s=5.0)
        if took == "TimeoutError" or (isinstance(took, float) and took >= 0.19):
            break
        assert time.monotonic() < deadline_s
    assert rules.hits("near") > 0
    rules.clear("near")
    assert isinstance(namespaces.ask(), float)


@pytest.mark.e2e
@pytest.mark.parametrize("how", ["tbf", "netem"])
def test_a_shaped_device_takes_its_time_and_goes(namespaces: Namespaces, how: str) -> None:
    rules, far = Rules(namespaces, "thin"), [namespaces.addresses["far"]]
    before = rules.look("near")
    free = [namespaces.ask(60_000) for _ in range(3)]
    assert all(isinstance(took, float) for took in free), free
    if how == "netem" and (reason := netem.why_not()):
        pytest.skip(f"this kernel cannot delay: {reason}")
    if how == "netem":
        rules.disturb("near", far, ("delay", "500ms", "0ms"))
    else:
        rules.limit("near", far, 1000)
    limited = namespaces.ask(60_000)
    assert isinstance(limited, float) and limited > 0.4  # 480 kbit at 1 Mbit/s, half a second at least where it waits once
    assert rules.hits("near") > 0
    rules.clear("near")
    assert isinstance(namespaces.ask(60_000), float)
    assert rules.look("near") == before
