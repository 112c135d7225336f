"""An edge that is broken by rules in the network namespaces of its ends, and what an instance of the caller then meets.

A rule goes with the namespace that it is in: whoever restarts an end of the edge would mend the network. So the rules are looked after as
long as the fault lasts: an instance that starts again, joins or moves gets its own within a second.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from harness.faults import conversation
from harness.faults.base import Context, FaultError, Undo
from harness.faults.conversation import Talk, converse
from harness.faults.network_rules import Found, Place, Rules
from harness.record.clock import Clock
from harness.stack.base import Instance, Networked, StackError

End = Literal["caller", "callee"]
Direction = Literal["downstream", "upstream", "both"]
"""Downstream is what the callee sends, upstream what the caller does."""
KEEP_EVERY_S = 0.25
AT_ONCE = 8
BATCH, BATCH_WITHIN_S = 8, 2.0
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Rule:
    """What is set in the namespace of each instance at one end of an edge, against the addresses of the other end."""

    end: End
    set: Callable[[Rules, str, Sequence[str]], None]  # (rules, instance, peers)


def receivers(direction: Direction) -> tuple[End, ...]:
    """The ends at which what goes in a direction arrives."""
    return {"downstream": ("caller",), "upstream": ("callee",), "both": ("caller", "callee")}[direction]  # type: ignore[return-value]


def senders(direction: Direction) -> tuple[End, ...]:
    """The ends that send what goes in a direction."""
    return {"downstream": ("callee",), "upstream": ("caller",), "both": ("caller", "callee")}[direction]  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class RulesWays:
    """`Ways` to one instance of the callee: from the network namespace of one of the caller, and from here."""

    network: Networked
    caller: str
    address: tuple[str, int]
    here: tuple[str, int]
    clock: Clock
    straight: bool = True

    def through(self, ask: bytes, patience_s: float) -> Talk:
        return self._from_caller(ask, patience_s, 1)[0]

    def several(self, ask: bytes, patience_s: float, times: int) -> Iterator[Talk]:
        had = 0
        while had < times:
            talks = self._from_caller(ask, patience_s, min(BATCH, times - had))
            had += len(talks)
            yield from talks

    def past(self, ask: bytes, patience_s: float) -> Talk:
        return converse(lambda timeout_s: socket.create_connection(self.here, timeout=timeout_s), ask, self.clock.now_ns, patience_s)

    def _from_caller(self, ask: bytes, patience_s: float, times: int) -> list[Talk]:
        host, port = self.address
        how = ("--patience", f"{patience_s:g}", "--times", str(times), "--within", f"{BATCH_WITHIN_S:g}")
        script = Path(conversation.__file__).read_text(encoding="utf-8")
        try:
            said = self.network.run_in_network(self.caller, ("python3", "-I", "-S", "-c", script, host, str(port), ask.hex(), *how))
            return [Talk.from_json(json.loads(line)) for line in said.splitlines()]
        except (StackError, ValueError, KeyError) as error:
            raise FaultError(f"asking {host}:{port} from beside {self.caller}: {error}") from error


class RulesMeans:
    """`Means` of an edge without a proxy, on a stack whose instances have networks of their own."""

    name = "rules"

    def __init__(self, network: Networked, context: Context, edge: tuple[str, str], rules: Sequence[Rule]) -> None:
        self._network = network
        self._context = context
        self._edge = edge
        self._wanted = rules
        self._rules = Rules(network, context.fault_id)
        self._turn = threading.RLock()
        self._over = threading.Event()
        self._keeper: threading.Thread | None = None
        self._before: dict[str, tuple[int | None, Found]] = {}  # by instance, with the process that it then was
        self._set_for: Mapping[str, int | None] = {}
        self._set_again = 0

    def undo(self) -> Sequence[Undo]:
        if not self._context.run_id:
            raise FaultError("rules in network namespaces are found again by the run's id, which is not known here")
        return (Undo("rules", {"run_id": self._context.run_id, "script": self._rules.clearing}),)

    def set(self) -> None:
        with self._turn:
            if self._keeper is not None:
                return
            self._over = threading.Event()
            found = dict(self._each(self._running(), lambda instance: (instance.pid, self._rules.look(instance.name))))
            self._before = found
            self._apply()
            self._keeper = threading.Thread(target=self._keep, args=(self._over,), name=f"rules of {self._context.fault_id}", daemon=True)
            self._keeper.start()

    def clear(self) -> None:
        self._over.set()
        with self._turn:
            keeper, self._keeper = self._keeper, None
            self._clear_all()
        if keeper is not None:
            keeper.join()

    def left(self) -> bool:
        """A namespace that has ended since, with its instance, has taken its rules along."""

        def one(instance: Instance) -> bool:
            now = self._rules.look(instance.name)
            pid, then = self._before.get(instance.name, (None, now))
            comparable = pid == instance.pid and not then.shaped and not now.shaped
            return now.own > 0 or (comparable and now.others != then.others)

        return any(there for _, there in self._each(self._running(), one))

    def touched(self) -> dict[str, Any]:
        """Raises FaultError where no packet has met a rule: what is seen then has another cause."""
        counts = dict(self._each(self._running(), lambda instance: self._rules.hits(instance.name)))
        if not sum(counts.values()):
            raise FaultError(f"no packet between {' and '.join(self._edge)} has met a rule")
        return {"packets_touched": sum(counts.values()), "namespaces": sorted(counts), "set_again": self._set_again}

    def ways(self) -> RulesWays:
        callers, callees = (self._running_of(service) for service in self._edge)
        if not callers or not callees:
            raise FaultError(f"no instance of {' or '.join(self._edge)} runs")
        caller, callee = callers[0], callees[0]
        url = urlsplit(callee.url)
        here = (url.hostname or "127.0.0.1", url.port or 80)
        address = self._common(self._rules.places(caller.name), self._rules.places(callee.name))
        return RulesWays(self._network, caller.name, (address, callee.port_inside or here[1]), here, self._context.clock)

    # --- setting them, and again

    def _apply(self) -> None:
        """Set every rule at every instance that runs. Raises FaultError where an end has none."""
        starts = self._starts()
        addresses = {end: self._addresses(service) for end, service in zip(("caller", "callee"), self._edge, strict=True)}
        other = {"caller": addresses["callee"], "callee": addresses["caller"]}
        if not all(addresses.values()):
            raise FaultError(f"an end of {'->'.join(self._edge)} has no address in a network of its own")
        for rule in self._wanted:
            service = self._edge[0 if rule.end == "caller" else 1]
            peers = other[rule.end]

            def one(instance: Instance, rule: Rule = rule, peers: Sequence[str] = peers) -> None:
                rule.set(self._rules, instance.name, peers)

            list(self._each(self._running_of(service), one))
        self._set_for = starts

    def _keep(self, over: threading.Event) -> None:
        """Until the fault is over: where an instance has started since, set them all anew, for its address may be another."""
        while not over.wait(KEEP_EVERY_S):
            try:
                if self._starts().items() <= self._set_for.items():
                    continue
                with self._turn:
                    if over.is_set():
                        return
                    self._clear_all()
                    self._apply()
                    self._set_again += 1
            except (FaultError, StackError):
                continue  # between its end and its start

    def _clear_all(self) -> None:
        list(self._each(self._running(), lambda instance: self._rules.clear(instance.name)))

    # --- the ends

    def _addresses(self, service: str) -> list[str]:
        found = self._each(self._running_of(service), lambda instance: self._rules.places(instance.name))
        return [place.host for _, places in found for place in places]

    def _starts(self) -> Mapping[str, int | None]:
        """What runs, by instance; who is down has no network that rules could be in."""
        return {instance.name: instance.pid for instance in self._running()}

    def _running(self) -> list[Instance]:
        return [instance for service in self._edge for instance in self._running_of(service)]

    def _running_of(self, service: str) -> list[Instance]:
        """Those with a network. Of a stack that sees no processes, all."""
        instances = self._context.stack.instances(service)
        return [i for i in instances if i.pid is not None or self._context.stack.probe(i) is None]

    def _each(self, instances: Iterable[Instance], look: Callable[[Instance], Answer]) -> Iterator[tuple[str, Answer]]:
        """Side by side; one that ends meanwhile has no network any more, and is left out."""
        wanted = list(instances)

        def attempt(instance: Instance) -> tuple[str, Answer] | None:
            try:
                return instance.name, look(instance)
            except FaultError:
                if self._runs_still(instance):
                    raise
                return None

        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="rules") as pool:
            yield from (found for found in pool.map(attempt, wanted) if found is not None)

    def _runs_still(self, instance: Instance) -> bool:
        return any(now.name == instance.name and now.pid == instance.pid for now in self._running_of(instance.service))

    def _common(self, ours: Sequence[Place], theirs: Sequence[Place]) -> str:
        for place in theirs:
            if any(own.reaches(place.host) for own in ours):
                return place.host
        raise FaultError(f"{' and '.join(self._edge)} have no network in common")
