"""What may be asked for: descriptions of faults and stacks, against which `check` validates a scenario without starting anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

TargetShape = Literal["service", "instance", "edge", "host", "webhook"]
ALERT_WEBHOOK = "alert-webhook"
"""The target of what befalls the run's own receiver of alerts, which is no service of any stack."""
Role = Literal["http", "postgres", "redis", "llm", "vector", "tls"]
"""What a service speaks: a fault of a database fits whatever is one, under any name. `tls`: HTTP over TLS, which ends there."""
ByRules = Literal["anywhere", "with netem", "never"]
"""On any kernel, on one that has the network emulator, or by a proxy alone."""


class FaultParameters(BaseModel):
    """Base of every fault's parameters: the fields are the schema that `gauntlet faults show` prints."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def by_rules(self) -> ByRules:
        """Where rules in network namespaces can do what is asked for, of a fault that can act by them at all."""
        return "anywhere"


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One type of fault, as the catalogue describes it.

    `needs` names capability protocols of `stack.base`, all of which it takes; of `either` one is enough: other means to the same end.
    """

    name: str  # `process.kill`
    summary: str
    kind: str  # the kind of a right diagnosis; `none` for a benign change
    parameters: type[FaultParameters]
    targets: tuple[TargetShape, ...]
    needs: tuple[str, ...]
    evidence: str  # how the harness proves that it bit, and that it is gone
    example: str  # YAML of one entry of `faults:`
    recoverable_by: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    only_services: tuple[str, ...] = ()  # empty: any service of the stack
    only_roles: tuple[Role, ...] = ()  # empty: any
    benign: bool = False

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]

    def fits(self, capabilities: frozenset[str]) -> bool:
        """Whether a stack with these capabilities can take it."""
        return set(self.needs) <= capabilities and (not self.either or not capabilities.isdisjoint(self.either))

    def through_proxy(self, stack: StackInfo, asked: Mapping[str, Any]) -> bool:
        """Whether it acts through a proxy there: because it must, or for want of other means to what `asked` (its `with`) says."""
        if "Proxied" not in self.either or "Proxied" in self.needs:
            return "Proxied" in self.needs
        if stack.capabilities.isdisjoint(set(self.either) - {"Proxied"}):
            return True
        try:
            by_rules = self.parameters.model_validate(dict(asked)).by_rules()
        except ValidationError:
            return False  # what is wrong with them is said elsewhere
        return by_rules == "never" or (by_rules == "with netem" and not stack.netem)


@dataclass(frozen=True, slots=True)
class StackInfo:
    """What a stack declares of itself before it is started."""

    name: str
    services: Mapping[str, int]  # service -> declared replicas
    edges: frozenset[tuple[str, str]]  # (caller, callee)
    capabilities: frozenset[str]  # names of capability protocols, e.g. "Killable"
    journeys: frozenset[str]  # load journeys it understands
    alternatives: Mapping[str, frozenset[str]] = field(default_factory=dict)  # YAML of `stack` -> what the same services can do then
    proxyable: frozenset[tuple[str, str]] = field(default_factory=frozenset)  # edges on which a proxy can be put
    roles: Mapping[str, Role] = field(default_factory=dict)  # of services; one that is not listed speaks HTTP
    programmable: frozenset[str] = field(default_factory=frozenset)  # services with an admin API for faults
    acts_on: Mapping[str, frozenset[str]] = field(default_factory=dict)  # capability -> the only services that have it; not listed: all
    forwarded: bool = False  # from here its instances are reached through a forwarder, as the published ports of containers are
    netem: bool = False  # the kernel can delay packets in the networks of its instances
    quality: bool = False  # has questions with known answers
    settings: Mapping[str, Any] = field(default_factory=dict)  # run-time settings as declared
    hosts: tuple[str, ...] = ()  # machines of its own that it is spread over, by name

    def role(self, service: str) -> Role:
        """What a service speaks."""
        return self.roles.get(service, "http")

    def acts(self, capability: str, service: str) -> bool:
        """Whether a capability that the stack has extends to that service, or host."""
        return service in self.acts_on.get(capability, (*self.services, *self.hosts))

    def dependants(self, service: str) -> frozenset[str]:
        """Services that call `service`, directly or through others: its possible blast radius."""
        found: set[str] = set()
        frontier = {service}
        while frontier:
            frontier = {caller for caller, callee in self.edges if callee in frontier} - found
            found |= frontier
        return frozenset(found)
