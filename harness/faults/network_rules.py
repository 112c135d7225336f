"""Rules in the network namespace of an instance: what `iptables` and `tc` make of partition, loss, reset and bandwidth.

They act on packets, so that TCP shows what it does in earnest: SYNs that are repeated, segments that are sent again, connections that time
out. They go with the namespace, which ends with its instance. A rule is found again by its tag, a comment that says nothing to who sees it.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.faults.base import FaultError
from harness.stack.base import Networked, StackError

Direction = Literal["downstream", "upstream", "both"]
"""As the instance sees it, in whose namespace the rules lie: what it sends goes upstream."""

FREELY = "10gbit"
"""For all that is not to be limited."""
_ROOT, _LIMITED, _FREE = "7e1:", "7e1:20", "7e1:10"
_BURST_BYTES = 4096
_ADDRESS = re.compile(r"^\d+: (?P<device>\S+?)(?:@\S+)?\s+inet (?P<address>[0-9.]+)/", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance is reached in its network, and by which device."""

    device: str
    address: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one fault. Every method raises FaultError with what the tool said."""

    network: Networked
    fault_id: str

    @property
    def tag(self) -> str:
        """The comment of the fault's rules."""
        return "r" + hashlib.blake2b(self.fault_id.encode(), digest_size=6).hexdigest()

    def places(self, instance: str) -> list[Place]:
        """The addresses of an instance in the networks of the stack."""
        listed = self._run(instance, "ip", "-4", "-o", "addr", "show", "scope", "global")
        return [Place(found["device"], found["address"]) for found in _ADDRESS.finditer(listed)]

    def drop(self, instance: str, peers: Sequence[str], direction: Direction, share: float = 1.0) -> None:
        """Lose packets between an instance and these addresses: all of them, or that share, each drawn for itself."""
        drawn = () if share >= 1.0 else ("-m", "statistic", "--mode", "random", "--probability", f"{share:.6f}")
        self._add(instance, peers, direction, (*drawn, *self._comment, "-j", "DROP"))

    def reset(self, instance: str, peers: Sequence[str], share: float = 1.0) -> None:
        """Answer what these addresses send to the instance with RST: all of it, or that share of the packets."""
        drawn = () if share >= 1.0 else ("-m", "statistic", "--mode", "random", "--probability", f"{share:.6f}")
        self._add(instance, peers, "downstream", ("-p", "tcp", *drawn, *self._comment, "-j", "REJECT", "--reject-with", "tcp-reset"))

    def limit(self, instance: str, peers: Sequence[str], kbit_per_s: float) -> None:
        """Let the instance send no more than that to these addresses together, and freely to others."""
        device = self._device(instance)
        if self._limited(instance, device):
            return
        run = ("tc", "qdisc", "add", "dev", device, "root", "handle", _ROOT, "htb", "default", "10")
        self._run(instance, *run)
        for name, rate in ((_FREE, FREELY), (_LIMITED, f"{kbit_per_s:g}kbit")):
            burst = ("burst", str(_BURST_BYTES), "cburst", str(_BURST_BYTES)) if name == _LIMITED else ()
            self._run(
                instance, "tc", "class", "add", "dev", device, "parent", _ROOT, "classid", name, "htb", "rate", rate, "ceil", rate, *burst
            )
        for peer in peers:
            match = ("u32", "match", "ip", "dst", f"{peer}/32", "flowid", _LIMITED)
            self._run(instance, "tc", "filter", "add", "dev", device, "protocol", "ip", "parent", _ROOT, "prio", "1", *match)

    def hits(self, instance: str) -> int:
        """How many packets the fault's rules in that namespace have matched."""
        counted = [
            int(words[0]) for chain in ("INPUT", "OUTPUT") for words in self._listed(instance, chain) if words and words[0].isdecimal()
        ]
        return sum(counted)

    def present(self, instance: str) -> int:
        """How many of the fault's rules there are, the limit counted as one."""
        return len(self._rules(instance)) + sum(self._limited(instance, place.device) for place in self.places(instance))

    def clear(self, instance: str) -> None:
        """Take out every rule of the fault; harmless where there is none."""
        for rule in self._rules(instance):
            self._run(instance, "iptables", "-w", "-D", *rule[1:])
        for place in self.places(instance):
            if self._limited(instance, place.device):
                self._run(instance, "tc", "qdisc", "del", "dev", place.device, "root")

    @property
    def _comment(self) -> tuple[str, ...]:
        return ("-m", "comment", "--comment", self.tag)

    def _add(self, instance: str, peers: Sequence[str], direction: Direction, rest: Sequence[str]) -> None:
        if self._rules(instance):
            return  # once is enough
        if not peers:
            raise FaultError(f"{instance} has nobody to be kept from")
        if direction in ("upstream", "both"):
            self._run(instance, "iptables", "-w", "-I", "OUTPUT", "-d", ",".join(peers), *rest)
        if direction in ("downstream", "both"):
            self._run(instance, "iptables", "-w", "-I", "INPUT", "-s", ",".join(peers), *rest)

    def _rules(self, instance: str) -> list[list[str]]:
        """Those of the fault, as `iptables -S` writes them: `-A CHAIN …`."""
        rules = (shlex.split(line) for line in self._run(instance, "iptables", "-w", "-S").splitlines() if self.tag in line)
        return [rule for rule in rules if rule[0] == "-A"]

    def _listed(self, instance: str, chain: str) -> list[list[str]]:
        listed = self._run(instance, "iptables", "-w", "-nvxL", chain)
        return [line.split() for line in listed.splitlines() if self.tag in line]

    def _limited(self, instance: str, device: str) -> bool:
        return f"htb {_ROOT} root" in self._run(instance, "tc", "qdisc", "show", "dev", device)

    def _device(self, instance: str) -> str:
        places = self.places(instance)
        if not places:
            raise FaultError(f"{instance} has no address in a network of its own")
        return places[0].device

    def _run(self, instance: str, *argv: str) -> str:
        try:
            return self.network.run_in_network(instance, argv)
        except StackError as error:
            raise FaultError(str(error)) from error
