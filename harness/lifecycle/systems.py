"""Which stack a scenario asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.faults.registry import catalog_of
from harness.scenario.catalog import StackInfo
from harness.scenario.model import Scenario, StackSpec
from harness.scenario.targets import parse_target
from harness.stack.base import Front, Fronted, Stack
from harness.stack.catalog import info_for
from harness.stack.external import ActuatedStack, ExternalStack
from harness.stack.options import DEFAULT_VERSION, StackOptions
from harness.stack.processes import ProcessStack


def build_stack(
    spec: StackSpec,
    *,
    run_id: str,
    work_dir: Path,
    logs_dir: Path,
    seed: int = 1,
    proxied: frozenset[tuple[str, str]] = frozenset(),
    volumes: frozenset[str] = frozenset(),
    environment: Mapping[str, Mapping[str, str]] | None = None,
    version: str | None = None,
    side: str = "",
    api_key: str | None = None,
) -> Stack:
    """The stack, not started."""
    if spec.use == "external":
        actuated = any(service.actuators or service.admin for service in spec.by_url.values())
        return ActuatedStack(spec) if actuated else ExternalStack(spec)
    options = StackOptions(
        run_id=run_id,
        work_dir=work_dir,
        logs_dir=logs_dir,
        seed=seed,
        replicas=dict(spec.replicas),
        documents=spec.documents,
        corpus=Path(spec.corpus) if spec.corpus else None,
        vector_store=spec.vector_store,
        tls=spec.tls,
        proxied_edges=proxied,
        volumes=volumes,
        environment=environment or {},
        version=version or DEFAULT_VERSION,
        side=side,
        api_key=api_key,
    )
    if spec.use == "compose":
        from harness.stack.compose.stack import ComposeStack

        return ComposeStack(spec, options)
    if spec.driver == "swarm":
        from harness.stack.swarm.stack import SwarmStack

        return SwarmStack(spec, options)
    if spec.driver == "containers":
        from harness.stack.containers.stack import ContainerStack  # and with it what builds images: for those who want containers

        return ContainerStack(options)
    if spec.driver == "kubernetes":
        from harness.stack.kubernetes.stack import KubernetesStack

        return KubernetesStack(options, spec.cluster)
    return ProcessStack(options)


def users_url(stack: Stack) -> str:
    """Where users come in."""
    front = front_of(stack)
    return stack.entry_url if front is None else front.url


def users_trust(*stacks: Stack | None) -> str:
    """Certificates of the authorities that they trust besides, PEM; empty where nobody comes in over TLS of ours."""
    fronts = (front_of(stack) for stack in stacks)
    return "".join(front.trusted for front in fronts if front is not None)


def front_of(stack: Stack | None) -> Front | None:
    """What is in front of its entry; None where nothing is."""
    return stack.front if isinstance(stack, Fronted) else None


def proxied_edges(scenario: Scenario) -> frozenset[tuple[str, str]]:
    """Edges that need a proxy before the stack starts: those of faults that act through one. No other edge pays for one."""
    info = info_for(scenario.stack)
    catalog = catalog_of(info.capabilities)
    targets = (parse_target(use.target, info) for use in scenario.faults if catalog[use.type].through_proxy(info, use.with_))
    return frozenset(target.edge for target in targets if target.edge is not None)


def volumes(scenario: Scenario) -> frozenset[str]:
    """Services whose data need a file system of their own before the stack starts: those of faults that fill it."""
    info = info_for(scenario.stack)
    catalog = catalog_of(info.capabilities)
    return frozenset(parse_target(use.target, info).service for use in scenario.faults if "Volumed" in catalog[use.type].needs)


def touched_services(scenario: Scenario, info: StackInfo) -> frozenset[str]:
    """Services that the scenario's faults go to; of an edge both ends."""
    targets = [parse_target(use.target, info) for use in scenario.faults]
    return frozenset(name for target in targets for name in (target.service, *(target.edge or ())))
