"""Network namespaces that keep rules as the tools would, without any."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from harness.faults.conversation import Talk
from harness.stack.base import StackError


class FakeNetwork:
    """`Networked`: one namespace an instance, at the address that it was given; `asked` is what was changed, `hits` what rules count."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.addresses = dict(addresses)
        self.rules: dict[str, list[str]] = {}
        self.shaped: dict[str, str] = {}  # handle, by instance
        self.asked: list[str] = []
        self.hits = 3
        self.talk = Talk(b"+PONG\r\n", 0.001, 0.002, "closed")

    def start(self, instance: str, address: str) -> None:
        """Anew: what its namespace held is gone."""
        self.addresses[instance] = address
        self.rules.pop(instance, None)
        self.shaped.pop(instance, None)

    def run_in_network(self, instance: str, argv: Sequence[str]) -> str:
        if instance not in self.addresses:
            raise StackError(f"no instance {instance}")
        rules = self.rules.setdefault(instance, [])
        text = " ".join(argv)
        if argv[0] == "python3":
            return json.dumps(self.talk.to_json()) + "\n"
        if argv[0] == "sh":
            return self._script(instance, argv[2])
        if text.startswith("ip "):
            return f"7: eth0@if8    inet {self.addresses[instance]}/24 brd 10.9.0.255 scope global eth0\\       valid_lft forever\n"
        if argv[0] == "ss":
            return ""
        self.asked.append(text)
        if text.startswith("iptables -w -I"):
            rules.append(text.replace("iptables -w -I", "-A"))
        elif found := re.match(r"tc qdisc add dev eth0 root handle (\S+)", text):
            self.shaped[instance] = found[1]
        return ""

    def _script(self, instance: str, script: str) -> str:
        rules = self.rules[instance]
        if "-nvxL" in script:
            return "".join(f"{self.hits} 100 DROP all -- * * {rule}\n" for rule in rules)
        if "| sed" in script:
            tag, handle = re.search(r"r[0-9a-f]{12}", script), re.search(r"7[0-9a-f]{3}:", script)
            assert tag is not None and handle is not None
            rules[:] = [rule for rule in rules if tag[0] not in rule]
            if self.shaped.get(instance) == handle[0]:
                del self.shaped[instance]
            return ""
        qdisc = f"htb {self.shaped[instance]}" if instance in self.shaped else "noqueue 0:"
        return "\n".join(["-P INPUT ACCEPT", *rules, f"qdisc {qdisc} dev eth0 root refcnt 2"]) + "\n"
