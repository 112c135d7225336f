"""What a stack will be able to do, known without starting it or importing what starts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness import cgroups, mounts
from harness.scenario.catalog import Role, StackInfo
from harness.scenario.model import Actuator, Driver, StackSpec, VectorStoreName
from harness.scenario.services import LLM, HostActuator, SwarmNode
from harness.stack import disks, faketime, netem
from harness.stack.topology import INGRESS, PROVIDERS, Topology, topology

REFERENCE_CAPABILITIES = frozenset(
    {
        "CacheClearable",
        "Clocked",
        "Configurable",
        "Credentialed",
        "DiskLimitable",
        "Documented",
        "Environed",
        "Killable",
        "Limitable",
        "Logged",
        "Named",
        "Observable",
        "Pausable",
        "Placed",
        "Programmable",
        "Proxied",
        "Restartable",
        "Rollbackable",
        "Routable",
        "Scalable",
        "Stoppable",
        "Stressable",
        "Volumed",
        "Wrapped",
    }
)
"""Of `ProcessStack`; a contract test holds the two together."""

CONTAINER_CAPABILITIES = REFERENCE_CAPABILITIES | {"Certified", "Networked"}
"""Of `ContainerStack`, likewise."""

_OF_OURS = ("Clocked", "DiskLimitable", "Observable", "Rollbackable", "Routable", "Scalable", "Stressable", "Wrapped")

HOST_VERBS: Mapping[HostActuator, str] = {"kill": "HostKillable", "pause": "HostPausable", "cut": "HostPartitionable"}
"""What can happen to a node of a swarm where the scenario names the command, and the one that undoes it."""

SWARM_CAPABILITIES = frozenset(
    {
        "HostDrainable",
        "HostWatched",
        "Hosted",
        "Killable",
        "Pausable",
        "Programmable",
        "Restartable",
        "Scalable",
        "Spreadable",
        *HOST_VERBS.values(),
    }
)
"""Of `SwarmStack`; of what takes a node's commands, what they allow."""

ACTUATED: Mapping[Actuator, str] = {
    "kill": "Killable",
    "stop": "Stoppable",
    "restart": "Restartable",
    "pause": "Pausable",
    "scale": "Scalable",
    "deploy": "Rollbackable",
}
"""What an external stack can do where a service names the command."""

COMPOSE_CAPABILITIES = frozenset(
    {
        "Killable",
        "Limitable",
        "Logged",
        "Networked",
        "Pausable",
        "Placed",
        "Programmable",
        "Proxied",
        "Restartable",
        "Scalable",
        "Stoppable",
        "Stressable",
    }
)
"""Of `ComposeStack`; Programmable only with its mock LLM."""

KUBERNETES_CAPABILITIES = frozenset(
    {"Documented", "Killable", "Meshed", "Programmable", "Restartable", "Rollbackable", "Scalable", "Stoppable"}
)
"""Of `KubernetesStack`."""

STACKS: Mapping[str, frozenset[str]] = {
    "processes": REFERENCE_CAPABILITIES,
    "containers": CONTAINER_CAPABILITIES,
    "kubernetes": KUBERNETES_CAPABILITIES,
    "swarm": SWARM_CAPABILITIES,
    "compose": COMPOSE_CAPABILITIES,
    "external": frozenset({*ACTUATED.values(), "Programmable"}),
}
"""What each kind of stack can do where everything that it takes is there, and an external one, or a node, names commands and mocks."""

_OF_DRIVER: Mapping[Driver, frozenset[str]] = {
    "processes": REFERENCE_CAPABILITIES,
    "containers": CONTAINER_CAPABILITIES,
    "swarm": SWARM_CAPABILITIES,
    "kubernetes": KUBERNETES_CAPABILITIES,
}
_WRITTEN: Mapping[Driver, str] = {
    "processes": "{driver: processes}",
    "containers": "{driver: containers}",
    "swarm": "{driver: swarm, nodes: …}",
    "kubernetes": "{driver: kubernetes}",
}


def info_for(spec: StackSpec) -> StackInfo:
    """The description of the stack that a scenario asks for. Raises ValueError that says what cannot be had."""
    if spec.use == "reference":
        if spec.services or spec.edges:
            raise ValueError("`services` and `edges` describe an external stack; the reference stack has its own")
        return reference_info(spec.replicas, spec.vector_store, spec.driver, spec.nodes, spec.tls)
    return compose_info(spec) if spec.use == "compose" else external_info(spec)


def reference_info(
    replicas: Mapping[str, int],
    vector_store: VectorStoreName = "pgvector",
    driver: Driver = "processes",
    nodes: Mapping[str, SwarmNode] | None = None,
    tls: bool = False,
) -> StackInfo:
    """The reference stack with that many replicas of some services. Raises ValueError."""
    if tls and driver != "containers":
        raise ValueError("`tls` puts an nginx in front, which runs as a container here; write `driver: containers`, or drop `tls`")
    chosen = topology(vector_store, tls)
    if driver == "swarm":
        return swarm_info(replicas, vector_store, nodes or {})
    if nodes:
        raise ValueError("`nodes` belong to a swarm; write `driver: swarm`, or drop them")
    return _reference(replicas, chosen, driver)


def swarm_info(replicas: Mapping[str, int], vector_store: VectorStoreName, nodes: Mapping[str, SwarmNode]) -> StackInfo:
    """The reference stack over the named nodes of a swarm. Raises ValueError."""
    chosen = topology(vector_store)
    if not nodes:
        raise ValueError("a swarm's nodes are named: nodes: {a: unix:///var/run/docker.sock, b: unix:///run/b.sock}")
    if alike := sorted(nodes.keys() & chosen.services.keys()):
        raise ValueError(f"{', '.join(alike)}: a node cannot be called as a service is; give it another name")
    acts_on = {need: frozenset(name for name, node in nodes.items() if verb in node.verbs) for verb, need in HOST_VERBS.items()}
    described = _reference(replicas, chosen, "swarm")
    return replace(described, hosts=tuple(nodes), acts_on=acts_on, settings={})


def _reference(replicas: Mapping[str, int], chosen: Topology, driver: Driver) -> StackInfo:
    capabilities = _can(driver) - _not_with(chosen, driver)
    return StackInfo(
        name="reference",
        services=chosen.declared_replicas(replicas),
        edges=frozenset(chosen.edges),
        capabilities=capabilities,
        alternatives=_other_ways(driver, chosen),
        journeys=frozenset({"ask", "ask_stream", "follow_up", "search", "ingest", "login"}),
        proxyable=chosen.proxyable if "Proxied" in capabilities else frozenset(),
        roles={name: service.kind for name, service in chosen.services.items()},
        programmable=frozenset(chosen.programmable),
        forwarded=driver != "processes",
        netem=driver == "containers" and netem.why_not() is None,
        quality=True,
        acts_on=_acts_on(chosen),
        settings={"llm_provider": PROVIDERS[0], "shed_ratio": 0.0},
    )


def _acts_on(chosen: Topology) -> dict[str, frozenset[str]]:
    """What ends TLS is no service of ours: it has no Python, follows no file of the stack's, and its settings are those of its image."""
    if INGRESS not in chosen.services:
        return {}
    return {**dict.fromkeys(_OF_OURS, frozenset(chosen.services) - {INGRESS}), "Certified": frozenset({INGRESS})}


def _other_ways(driver: Driver, chosen: Topology) -> dict[str, frozenset[str]]:
    """Other drivers, TLS in front, and the vector store that keeps everything in one place."""
    plain = topology(chosen.vector_store)
    ways = {_WRITTEN[other]: _can(other) - _not_with(plain, other) for other in _OF_DRIVER if other != driver}
    if INGRESS not in chosen.services:
        ways["{driver: containers, tls: true}"] = _can("containers") - _not_with(topology(chosen.vector_store, True), "containers")
    if chosen.vector_store != "pgvector":
        ways["{vector_store: pgvector}"] = _can(driver) - _not_with(topology(tls=INGRESS in chosen.services), driver)
    return ways


def _not_with(chosen: Topology, driver: Driver) -> frozenset[str]:
    """What the stack cannot do because vectors kept apart from their documents are out of reach, or because nothing in it speaks TLS."""
    apart = chosen.vector_store != "pgvector" and driver not in ("processes", "containers")
    documented = frozenset({"Documented"}) if apart else frozenset()
    return documented if INGRESS in chosen.services else documented | {"Certified"}


def _can(driver: Driver) -> frozenset[str]:
    return _OF_DRIVER[driver] - _unavailable(driver)


def _unavailable(driver: Driver) -> frozenset[str]:
    """What this machine, or this user, lacks the means for; `gauntlet doctor` says why."""
    found = set()
    if faketime.library() is None:
        found.add("Clocked")
    if driver == "processes" and cgroups.why_not() is not None:
        found.add("Limitable")  # a container engine has the rights that this takes
    if disks.why_not() is not None:  # of containers, too: no engine changes that of one that runs
        found.add("DiskLimitable")
    if mounts.why_not() is not None:
        found.add("Volumed")
    return frozenset(found)


def external_info(spec: StackSpec) -> StackInfo:
    """A system that runs already: loaded, watched, and touched only by the commands and mocks that it names. Raises ValueError."""
    if not spec.services:
        raise ValueError("an external stack names its services: services: {gateway: {url: 'http://127.0.0.1:8000'}}")
    if spec.replicas:
        raise ValueError("`replicas` belong to the reference stack; an external one has those it has")
    unknown = sorted({name for edge in spec.edges for name in edge} - set(spec.services))
    if unknown:
        raise ValueError(f"edges name services that are not declared: {', '.join(unknown)}")
    acts_on = {
        capability: frozenset(name for name, service in spec.by_url.items() if verb in service.actuators)
        for verb, capability in ACTUATED.items()
    }
    mocks = frozenset(name for name, service in spec.by_url.items() if service.admin is not None)
    able = {capability for capability, services in acts_on.items() if services}
    return StackInfo(
        name="external",
        services=dict.fromkeys(spec.services, 1),
        edges=frozenset(spec.edges),
        capabilities=frozenset(able | {"Programmable"} if mocks else able),
        journeys=frozenset(),
        roles={name: service.role for name, service in spec.services.items()},
        programmable=mocks,
        acts_on=acts_on,
    )


def compose_info(spec: StackSpec) -> StackInfo:
    """The services of a user's compose file that the scenario maps, and the mock LLM if it wants one. The file itself is not read.

    Raises ValueError.
    """
    if not spec.composed:
        raise ValueError("a compose stack names the services that are watched: services: {web: {port: 8080, health: /health}}")
    if spec.file is None:
        raise ValueError("a compose stack names its file: file: compose.yaml")
    mocks = {LLM: 1} if spec.llm else {}
    roles: dict[str, Role] = {name: service.role for name, service in spec.composed.items()}
    return StackInfo(
        name="compose",
        services={name: spec.replicas.get(name, 1) for name in spec.composed} | mocks,
        edges=frozenset(spec.edges),
        capabilities=COMPOSE_CAPABILITIES if mocks else COMPOSE_CAPABILITIES - {"Programmable"},
        journeys=frozenset(),
        proxyable=frozenset(spec.edges),
        roles=roles | ({LLM: "llm"} if mocks else {}),
        programmable=frozenset(mocks),
        forwarded=True,
        netem=netem.why_not() is None,
        acts_on={"Scalable": frozenset(name for name, role in roles.items() if role == "http")},
    )
