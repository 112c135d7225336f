"""What runs of ours beside a user's services, as services of their project: the mock LLM, and proxies on edges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.scenario.services import LLM
from harness.stack.compose.project import Beside, published
from harness.stack.containers.launch import ADMIN_PORT, HTTP_PORT, MIB, hand_over, user
from harness.stack.containers.proxies import EVERYWHERE, PACKAGE, SERVICES_PATH
from harness.stack.containers.proxies import package as own_package
from harness.stack.credentials import Credentials, write_private

LLM_URL = f"http://{LLM}:{HTTP_PORT}"
MODELS = ("gpt-4o-mini", "text-embedding-3-small", "*")
"""Listed are two, served is whatever a user's service asks for."""
MEMORY_BYTES = 384 * MIB


def mock_llm(image: str, folder: Path, credentials: Credentials, seed: int, ports: Mapping[int, int]) -> Beside:
    """The mock provider; `folder` holds its profile, and its faults over a restart. `ports` by those of its container."""
    profile, state = folder / "profile" / "llm.json", folder / "state"
    for made in (profile.parent, state):
        made.mkdir(parents=True)
        hand_over(made)
    write_private(profile, {"seed": seed, "api_keys": [credentials.provider_key], "models": MODELS})
    hand_over(profile)
    environment = {
        "HOST": EVERYWHERE,
        "PORT": str(HTTP_PORT),
        "ADMIN_PORT": str(ADMIN_PORT),
        "ADMIN_TOKEN": credentials.admin_token,
        "INSTANCE": f"{LLM}-1",
        "LLM_PROFILE": str(profile),
        "FAULTS_FILE": str(state / "faults.json"),
    }
    mounts = [_mount(profile.parent, profile.parent), _mount(state, state, read_only=False)]
    return Beside(LLM, _service(image, ["mocks.llm"], environment, ports, mounts) | {"user": user()})


def proxy(image: str, edge: tuple[str, str], port: int, token: str, seed: int, admin_port: int) -> Beside:
    """A proxy on an edge, which listens where the callee does."""
    caller, callee = edge
    command = ["harness.faults.proxy", "--listen", f"{EVERYWHERE}:{port}", "--upstream", f"{callee}:{port}"]
    command += ["--admin", f"{EVERYWHERE}:{_control_beside(port)}", "--seed", str(seed)]
    environment = {"PROXY_TOKEN": token, "PYTHONPATH": f"{PACKAGE}:{SERVICES_PATH}"}
    ports = {_control_beside(port): admin_port}
    mounts = [_mount(own_package(), Path(PACKAGE) / "harness")]
    return Beside(f"{callee}-for-{caller}", _service(image, command, environment, ports, mounts), edge)


def _control_beside(port: int) -> int:
    """Where the proxy's control listens: in its container, the callee's port is taken."""
    return ADMIN_PORT if port != ADMIN_PORT else ADMIN_PORT + 1


def _service(
    image: str, command: list[str], environment: Mapping[str, str], ports: Mapping[int, int], mounts: list[dict[str, Any]]
) -> dict[str, Any]:
    """With no right that it does not need."""
    return {
        "image": image,
        "command": command,
        "environment": dict(environment),
        "ports": [published(outer, inner) for inner, outer in ports.items()],
        "volumes": mounts,
        "init": True,
        "read_only": True,
        "tmpfs": ["/tmp"],  # of the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "healthcheck": {"disable": True},  # whoever starts it polls
        "mem_limit": str(MEMORY_BYTES),
        "memswap_limit": str(MEMORY_BYTES),
    }


def _mount(source: Path, target: Path, *, read_only: bool = True) -> dict[str, Any]:
    return {"type": "bind", "source": str(source), "target": str(target), "read_only": read_only}
