"""A callee that cannot be found: looking it up yields nothing, or an address where it is not."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from harness.faults.base import Evidence, FaultError, TargetedFault, capability
from harness.faults.http_talk import SPEAK_HTTP
from harness.faults.network_cut import NothingParameters
from harness.faults.network_talk import MEND
from harness.scenario.catalog import FaultSpec
from harness.stack.base import Instance, Named, Names, StackError

NOWHERE = "http://127.0.0.1:9"  # the port of the discard service, which nobody runs
LOOK_TIMEOUT_S = 0.5
_KNOWN = 'rag_client_instance_healthy{{callee="{callee}",instance="'


class NamesFault(TargetedFault[NothingParameters]):
    """The caller is told something else than where the callee is. Nothing outlives the stack: what it reads goes with it."""

    told: Sequence[str]
    _known_before: int | None = None

    def inject(self) -> None:
        if self._known_before is None:
            self._known_before = self._known_to_caller()
        self._names().tell(self.told)

    def heal(self) -> None:
        self._names().tell(None)

    def gone(self) -> Evidence | None:
        """The caller is told addresses, and something listens at the first of them."""
        addresses = self._looked_up()
        if not addresses or list(addresses) == list(self.told) or not _listens(addresses[0]):
            return None
        known = self._known_to_caller()
        if self._known_before and not known:
            return None  # it has not read it yet
        return {"addresses": len(addresses), "listens": True, "known_to_caller": known}

    def _names(self) -> Names:
        if self.target.edge is None:
            raise FaultError(f"{self.target.text} is no edge; write caller->callee")
        try:
            return capability(self.context.stack, Named).names(*self.target.edge)
        except StackError as error:
            raise FaultError(str(error)) from error

    def _looked_up(self) -> Sequence[str]:
        try:
            return self._names().look_up()
        except StackError as error:
            raise FaultError(str(error)) from error

    def _known_to_caller(self) -> int | None:
        """How many instances of the callee the caller itself knows, by its metrics; None where they do not say."""
        caller = self.target.edge[0] if self.target.edge is not None else ""
        counts = [_known(instance, self.target.service) for instance in self.context.stack.instances(caller)]
        told = [count for count in counts if count is not None]
        return min(told) if told else None


class NetworkDnsFailure(NamesFault):
    """The name of the callee does not resolve."""

    told = ()
    spec = FaultSpec(
        name="network.dns_failure",
        summary="Lets one caller find no instance of the callee when it looks its name up.",
        kind="network",
        parameters=NothingParameters,
        targets=("edge",),
        needs=("Named",),
        only_roles=SPEAK_HTTP,
        evidence="the caller is told no address, and by its own metrics knows no instance; gone: it is told where something listens",
        example="{id: no-name, type: network.dns_failure, target: query->retrieval, at: fault, for: 20s}",
        recoverable_by=MEND,
    )

    def verify(self) -> Evidence | None:
        if self._looked_up() or self._known_to_caller():
            return None
        return {"addresses": 0, "known_to_caller": 0}


class NetworkDnsWrong(NamesFault):
    """The name of the callee resolves to an address where it is not."""

    told = (NOWHERE,)
    spec = FaultSpec(
        name="network.dns_wrong",
        summary="Lets one caller find the callee at an address where nobody listens.",
        kind="network",
        parameters=NothingParameters,
        targets=("edge",),
        needs=("Named",),
        only_roles=SPEAK_HTTP,
        evidence="nobody listens where the caller is told that the callee is; gone: somebody does",
        example="{id: wrong-name, type: network.dns_wrong, target: query->retrieval, at: fault, for: 20s}",
        recoverable_by=MEND,
    )

    def verify(self) -> Evidence | None:
        addresses, direct = self._looked_up(), self.context.stack.instances(self.target.service)[0].url
        if not addresses or any(_listens(address) for address in addresses) or not _listens(direct):
            return None
        if self._known_before and self._known_to_caller() != len(addresses):
            return None  # it has not read it yet
        return {"addresses": len(addresses), "listens": False, "callee_listens": True}


def _listens(url: str) -> bool:
    """Whether somebody accepts connections there. A name is one of the stack's own network, and taken to be there."""
    parts = urlsplit(url)
    try:
        ip_address(parts.hostname or "")
    except ValueError:
        return True
    try:
        socket.create_connection((parts.hostname, parts.port or 80), timeout=LOOK_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _known(caller: Instance, callee: str) -> int | None:
    """Instances of the callee in the caller's metrics; None where it has none that say, or does not answer."""
    parts = urlsplit(caller.url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=LOOK_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode("utf-8", errors="replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if "rag_client_instance_healthy" not in text:
        return None
    return len(re.findall("^" + re.escape(_KNOWN.format(callee=callee)), text, re.MULTILINE))


FAULTS = (NetworkDnsFailure, NetworkDnsWrong)
