"""Rules in the network namespace of an instance: what `iptables` and `tc` make of partition, loss, reset, bandwidth and latency.

They act on packets, so that TCP shows what it does in earnest: SYNs that are repeated, segments that are sent again, connections that time
out. They go with the namespace, which ends with its instance. A rule is found again by its tag, a comment that says nothing to who sees it,
and what shapes a device by its handle.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface

from harness.faults.base import FaultError
from harness.stack.base import Networked, StackError

FREELY = "10gbit"
"""Of both classes: the one for others, and the one whose leaf does the work."""
BURST_BYTES = 1600
"""What a limited sender may send at once: a packet of an Ethernet."""
QUEUE_BYTES = 1 << 20
"""What waits behind that before packets are dropped."""
CLEAR = """\
iptables -w -S | sed -n 's/^-A \\(.*{tag}.*\\)$/-D \\1/p' | while read -r rule; do iptables -w $rule || exit 1; done || exit 1
tc qdisc show | sed -n 's/^qdisc [a-z]* {handle} dev \\([^ @]*\\).*$/\\1/p' | while read -r device; do
  tc qdisc del dev "$device" root || exit 1
done
"""
"""A shell script that takes out the rules of one fault, whoever runs it in the namespace; harmless where there are none."""
_LOOK = "iptables -w -S && tc qdisc show"
_COUNT = "iptables -w -nvxL INPUT && for device in $(ls /sys/class/net); do tc -s class show dev $device; done"
_ADDRESS = re.compile(r"^\d+: (?P<device>\S+?)(?:@\S+)?\s+inet (?P<address>[0-9./]+) ", re.MULTILINE)
_OF_FAULTS = re.compile(r"comment r[0-9a-f]{12}\b|^qdisc \w+ .*\b7[0-9a-f]{3}:")
_COUNTS = re.compile(r" refcnt \d+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance is reached in a network, and by which device."""

    device: str
    address: str  # with the length of the network's prefix

    @property
    def host(self) -> str:
        """The address alone."""
        return self.address.partition("/")[0]

    def reaches(self, host: str) -> bool:
        """Whether that address is in the same network."""
        return ip_address(host) in ip_interface(self.address).network


@dataclass(frozen=True, slots=True)
class Found:
    """What a namespace holds: how many rules of the fault, and what is nobody's who injects faults."""

    own: int
    others: frozenset[str]
    shaped: bool  # some fault shapes a device of it, in the place of what stood there


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one fault. Every method raises FaultError with what the tool said."""

    network: Networked
    fault_id: str

    @property
    def tag(self) -> str:
        """The comment of the fault's rules."""
        return "r" + hashlib.blake2b(self.fault_id.encode(), digest_size=6).hexdigest()

    @property
    def handle(self) -> str:
        """Of the queueing discipline with which the fault shapes a device."""
        return f"7{self.tag[1:4]}:"

    def places(self, instance: str) -> list[Place]:
        """The addresses of an instance in the networks of the stack."""
        listed = self._run(instance, "ip", "-4", "-o", "addr", "show", "scope", "global")
        return [Place(found["device"], found["address"]) for found in _ADDRESS.finditer(listed)]

    def drop(self, instance: str, peers: Sequence[str], share: float = 1.0) -> None:
        """Lose what these addresses send to the instance: all of it, or that share of the packets, each drawn for itself."""
        self._add(instance, peers, (*_drawn(share), *self._comment, "-j", "DROP"))

    def reset(self, instance: str, peers: Sequence[str], share: float = 1.0) -> None:
        """Answer what these addresses say to the instance with RST: all of it, or that share of the packets. Connections are made."""
        speaks = ("-p", "tcp", "--tcp-flags", "PSH", "PSH")
        self._add(instance, peers, (*speaks, *_drawn(share), *self._comment, "-j", "REJECT", "--reject-with", "tcp-reset"))

    def cut(self, instance: str, peers: Sequence[str]) -> None:
        """End the connections that these addresses have open to the instance, with RST."""
        which = " or ".join(f"dst {peer}" for peer in peers)
        of_peers = ("state", "established", f"( {which} )")
        before = self._connections(instance, of_peers)
        self._run(instance, "ss", "-H", "-K", "-n", "-t", *of_peers)
        if kept := before & self._connections(instance, of_peers):
            raise FaultError(f"this kernel cannot cut open connections ({len(kept)} of {instance} stay): write `open_connections: false`")

    def limit(self, instance: str, peers: Sequence[str], kbit_per_s: float) -> None:
        """Let the instance send no more than that to these addresses together, and freely to others."""
        # tbf, for it takes apart what a kernel hands over as one large packet; htb would let all of that pass at once
        self._shape(instance, peers, ("tbf", "rate", f"{kbit_per_s:g}kbit", "burst", str(BURST_BYTES), "limit", str(QUEUE_BYTES)))

    def disturb(self, instance: str, peers: Sequence[str], netem: Sequence[str]) -> None:
        """Let `netem`, given these arguments, have what the instance sends to these addresses."""
        self._shape(instance, peers, ("netem", *netem))

    def hits(self, instance: str) -> int:
        """How many packets the fault's rules in that namespace have matched."""
        counted, shaped = 0, False
        for line in self._run(instance, "sh", "-c", _COUNT).splitlines():
            words = line.split()
            if self.tag in line and words[0].isdecimal():
                counted += int(words[0])
            elif line.startswith("class "):
                shaped = words[2] == f"{self.handle}20"
            elif shaped and line.startswith(" Sent "):
                counted += int(words[3])
        return counted

    def look(self, instance: str) -> Found:
        """At all rules of the namespace, without what they count."""
        lines = [_COUNTS.sub("", line).strip() for line in self._run(instance, "sh", "-c", _LOOK).splitlines()]
        own = [line for line in lines if self.tag in line or (line.startswith("qdisc ") and f" {self.handle}" in line)]
        others = frozenset(line for line in lines if not _OF_FAULTS.search(line) and line not in own)
        return Found(len(own), others, any(line.startswith("qdisc ") and _OF_FAULTS.search(line) for line in lines))

    def clear(self, instance: str) -> None:
        """Take out every rule of the fault; harmless where there is none."""
        self._run(instance, "sh", "-c", self.clearing)

    @property
    def clearing(self) -> str:
        """The script of `clear`, for whoever has nothing but the namespace."""
        return CLEAR.format(tag=self.tag, handle=self.handle)

    @property
    def _comment(self) -> tuple[str, ...]:
        return ("-m", "comment", "--comment", self.tag)

    def _add(self, instance: str, peers: Sequence[str], rest: Sequence[str]) -> None:
        if not peers:
            raise FaultError(f"{instance} has nobody to be kept from")
        if not self.look(instance).own:  # once is enough
            self._run(instance, "iptables", "-w", "-I", "INPUT", "-s", ",".join(peers), *rest)

    def _shape(self, instance: str, peers: Sequence[str], leaf: Sequence[str]) -> None:
        """Let that queueing discipline have what goes to the peers, and nothing else."""
        if self.look(instance).own:
            return
        for place in self.places(instance):
            if mine := [peer for peer in peers if place.reaches(peer)]:
                self._shape_device(instance, place.device, mine, leaf)

    def _shape_device(self, instance: str, device: str, peers: Sequence[str], leaf: Sequence[str]) -> None:
        root, chosen = self.handle, f"{self.handle}20"
        self._tc(instance, "qdisc", "add", "dev", device, "root", "handle", root, "htb", "default", "10")
        for name in (f"{root}10", chosen):
            self._tc(instance, "class", "add", "dev", device, "parent", root, "classid", name, "htb", "rate", FREELY)
        self._tc(instance, "qdisc", "add", "dev", device, "parent", chosen, *leaf)
        for peer in peers:
            match = ("u32", "match", "ip", "dst", f"{peer}/32", "flowid", chosen)
            self._tc(instance, "filter", "add", "dev", device, "protocol", "ip", "parent", root, "prio", "1", *match)

    def _tc(self, instance: str, *argv: str) -> None:
        self._run(instance, "tc", *argv)

    def _connections(self, instance: str, which: Sequence[str]) -> frozenset[str]:
        """Both ends of each connection."""
        listed = self._run(instance, "ss", "-H", "-n", "-t", *which)
        return frozenset(" ".join(line.split()[-2:]) for line in listed.splitlines() if line.strip())

    def _run(self, instance: str, *argv: str) -> str:
        try:
            return self.network.run_in_network(instance, argv)
        except StackError as error:
            raise FaultError(str(error)) from error


def _drawn(share: float) -> tuple[str, ...]:
    return () if share >= 1.0 else ("-m", "statistic", "--mode", "random", "--probability", f"{share:.6f}")
