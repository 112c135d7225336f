"""An expired certificate, seen by real handshakes; and what the operator makes of it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import cast

import pytest

from harness.faults.base import Context, Fault, FaultError
from harness.faults.credentials_tls import shake_hands
from harness.faults.registry import build
from harness.load.http import Exchange, Request, UnreachableError
from harness.load.transport import SocketTransport
from harness.ops.monitoring.rounds import Round
from harness.ops.monitoring.scrape import NetworkLooker
from harness.ops.monitoring.signals import ClientSignal, Signals
from harness.ops.monitoring.symptoms import SymptomRules
from harness.ops.targets import Targets
from harness.record.clock import SystemClock
from harness.scenario.model import FaultUse
from harness.stack import http_probe
from harness.stack.base import Front, Instance, Stack, StackError
from harness.stack.catalog import reference_info
from harness.stack.certificates import CERTIFICATE, KEY, Certificates
from harness.stack.ports import free_ports

NOTHING = Signals(0.0, 10.0, {}, {}, ClientSignal(0.0, 0.0, None), {})
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Server:
    """Ends TLS as nginx does: each handshake is made with what lay in the folder at the last reload."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._contexts: deque[ssl.SSLContext] = deque(maxlen=1)
        self._worker = Random(1)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.reload()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def reload(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificates.folder / CERTIFICATE, self._certificates.folder / KEY)
        self._contexts.append(context)

    def overlap(self) -> None:
        """From the next reload on, those of before it go on beside those of after it."""
        self._contexts = deque(self._contexts, maxlen=2)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it may be closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(60)

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            context = self._worker.choice(self._contexts)
            with plain, contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as secured:
                if secured.recv(4096):
                    secured.sendall(ANSWER)


class World:
    """A stack of which only the front is there."""

    def __init__(self, folder: Path) -> None:
        self.certificates = Certificates(folder / "front", ("127.0.0.1", "localhost"), lambda _: None)
        self.certificates.make()
        self.server = Server(self.certificates)
        self.info = reference_info({}, driver="containers", tls=True)
        self.broken = False

    @property
    def front(self) -> Front:
        return Front(self.server.url, self.certificates.authority)

    def set_certificate(self, service: str, expired: bool) -> None:
        assert service == "ingress"
        if self.broken:
            raise StackError("the engine does not answer")
        self.certificates.serve(expired)
        self.server.reload()

    def instances(self, service: str) -> list[Instance]:
        return [Instance(service, f"{service}-1", self.server.url, "1")]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.server.close()


def fault_in(world: World) -> Fault:
    use = FaultUse.model_validate({"id": "f", "type": "credentials.tls_certificate_expired", "target": "ingress", "for": "20s"})
    return build(use, Context(cast(Stack, world), SystemClock(), Random(1))).fault


def test_users_who_verify_are_refused_and_the_own_certificate_comes_back_byte_for_byte(world: World) -> None:
    fault = fault_in(world)
    file = world.certificates.folder / CERTIFICATE
    own = file.read_bytes()
    assert fault.verify() is None and fault.gone() is not None
    for _ in range(2):
        fault.inject()
        fault.inject()
        found = fault.verify()
        assert found is not None and found["refused"] == "certificate has expired" and found["served_sha256"] != found["own_sha256"]
        assert fault.gone() is None and file.read_bytes() != own
        transport = SocketTransport(SystemClock(), world.front.trusted)
        with pytest.raises(UnreachableError, match="certificate has expired"):
            transport.perform(Exchange(Request.to("GET", f"{world.server.url}/", {})))
        assert http_probe.ends_tls(world.server.url) is None, "it is up, for all that"
        fault.heal()
        fault.heal()
        gone = fault.gone()
        assert gone is not None and gone["served_sha256"] == found["own_sha256"]
        assert file.read_bytes() == own


def test_while_workers_of_before_and_after_a_reload_accept_side_by_side_nothing_is_proved(world: World) -> None:
    fault = fault_in(world)
    world.server.overlap()
    fault.inject()
    assert fault.verify() is None and fault.gone() is None
    world.server.reload()
    assert fault.verify() is not None


def test_a_load_that_trusts_the_authority_is_served_and_one_that_does_not_is_refused(world: World) -> None:
    answered = Exchange(Request.to("GET", f"{world.server.url}/", {}))
    SocketTransport(SystemClock(), world.front.trusted).perform(answered)
    assert (answered.status, answered.content) == (200, b"ok")
    with pytest.raises(UnreachableError, match=r"unable to get local issuer|self-signed"):
        SocketTransport(SystemClock()).perform(Exchange(Request.to("GET", f"{world.server.url}/", {})))


def test_what_could_not_be_done_is_told_and_taken_back(world: World) -> None:
    fault = fault_in(world)
    world.broken = True
    with pytest.raises(FaultError, match="changing the certificate: the engine does not answer"):
        fault.inject()
    world.broken = False
    fault.heal()
    assert fault.gone() is not None


def test_one_that_is_refused_already_is_no_place_for_the_fault(world: World) -> None:
    world.set_certificate("ingress", True)
    with pytest.raises(FaultError, match="refused even now: certificate has expired"):
        fault_in(world).inject()


def test_nobody_there_is_no_expired_certificate(tmp_path: Path, world: World) -> None:
    (port,) = free_ports(1)
    with pytest.raises(FaultError, match="ConnectionRefusedError"):
        shake_hands(Front(f"https://127.0.0.1:{port}", world.certificates.authority))
    assert str(http_probe.ends_tls(f"https://127.0.0.1:{port}")).startswith("ConnectionRefusedError")


def test_the_operator_tells_a_bad_certificate_from_a_dead_server(world: World) -> None:
    targets = Targets(
        kinds={"ingress": "tls", "gateway": "http"},
        registry=None,
        static={"ingress": (world.server.url,)},
        edges=(("ingress", "gateway"),),
        metrics={"ingress": None},
        trusted=world.certificates.authority,
    )
    assert targets.entry == "ingress"
    looker, rules = NetworkLooker(targets, SystemClock()), SymptomRules(entry=targets.entry)

    def symptoms() -> list[tuple[str, str, str]]:
        for _ in range(2):
            seen: Round = looker.look()
            found = rules.look(seen, NOTHING)
        return [(one.name, one.service, one.kind) for one in found]

    try:
        assert symptoms() == []
        world.set_certificate("ingress", True)
        assert symptoms() == [("CertificateInvalid", "ingress", "credentials")]
        world.set_certificate("ingress", False)
        assert symptoms() == []
        world.server.close()
        assert symptoms() == [("InstanceDown", "ingress", "crash")]
    finally:
        looker.close()
