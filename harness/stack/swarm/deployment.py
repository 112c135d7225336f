"""Brings a stack into the swarm: its images to the nodes, its file to the client."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from harness.stack.child import Command
from harness.stack.containers.launch import ENGINES
from harness.stack.credentials import Credentials
from harness.stack.images import ensure
from harness.stack.launch import base_environment, run_to_end
from harness.stack.options import StackOptions
from harness.stack.ready import Probe
from harness.stack.swarm import images, material
from harness.stack.swarm.nodes import Nodes
from harness.stack.swarm.stack_file import Plan, draw_ports
from harness.stack.topology import Topology

DEADLINE_S = 60.0


def namespace(run_id: str) -> str:
    """What the swarm calls the stack of a run."""
    return f"gauntlet-{run_id}"


def deploy(
    topology: Topology,
    nodes: Nodes,
    options: StackOptions,
    credentials: Credentials,
    passwords: material.Passwords,
    replicas: Mapping[str, int],
    given_up: Probe,
) -> None:
    """Carry the images, write the file, and let the client deploy it; nothing need be ready then. Raises StackError."""
    plan = Plan(
        run_id=options.run_id,
        images=_carry_images(nodes, options),
        replicas=replicas,
        holder=nodes.all()[0].id,
        version=options.version,
        vector_store=options.vector_store,
        ports=draw_ports(topology, options.run_id),
        strangers=nodes.others,
    )
    file = material.write(options.work_dir / "deploy", topology, plan, options, credentials, passwords)
    shutil.copy(file, options.logs_dir / material.STACK_FILE)  # it holds no secret, and may be looked at
    argv = ("docker", "--host", nodes.managers()[0].engine, "stack", "deploy", "--resolve-image", "never", "--compose-file", str(file))
    log = options.work_dir / "deploy.log"
    command = Command((*argv, namespace(options.run_id)), base_environment(options.run_id), file.parent, log)
    run_to_end("docker stack deploy", command, DEADLINE_S, given_up)


def _carry_images(nodes: Nodes, options: StackOptions) -> Mapping[str, str]:
    """Every image on every node that may run it; references by name."""
    engines = [engine.image for engine in ENGINES.values()]
    built = ensure(("services", *engines))
    first, *_ = nodes.all()
    wanted = {node: [built["services"], *(built[name] for name in engines if node is first)] for node in nodes.all()}
    images.carry(wanted, options.work_dir)
    return built
