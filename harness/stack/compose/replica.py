"""Another instance of a service beside its first: the same container once more, at a port of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.stack.base import StackError
from harness.stack.containers.api import EngineApi, EngineError
from harness.stack.containers.container import remove
from harness.stack.ports import LOOPBACK

_NUMBER = "com.docker.compose.container-number"
_OF_A_START = ("MacAddress", "IPAddress", "GlobalIPv6Address", "Gateway", "IPv6Gateway", "EndpointID", "NetworkID", "DNSNames")


def add_replica(api: EngineApi, first: Mapping[str, Any], name: str, number: int, inside: int, port: int) -> None:
    """Create and start it. `first` is what the engine says of the first instance. Raises StackError; then there is none."""
    volumes = [mount["Name"] for mount in first["Mounts"] if mount["Type"] == "volume" and _is_named(first, mount)]
    if volumes:
        raise StackError(f"{first['Name'].lstrip('/')} keeps data in the volume {', '.join(volumes)}: two of it would destroy it")
    networks = {network: _endpoint(first, endpoint) for network, endpoint in first["NetworkSettings"]["Networks"].items()}
    one, *others = networks
    api.call("POST", "/containers/create", _creation(first, number, inside, port, {one: networks[one]}), query={"name": name})
    try:
        for network in others:  # an engine before 25 attaches one while it creates, and no more
            api.call("POST", f"/networks/{network}/connect", {"Container": name, "EndpointConfig": networks[network]})
        api.call("POST", f"/containers/{name}/start")
    except EngineError:
        remove(api, name)
        raise


def _creation(first: Mapping[str, Any], number: int, inside: int, port: int, network: Mapping[str, Any]) -> dict[str, Any]:
    config = dict(first["Config"])
    if config.get("Hostname") == first["Id"][:12]:
        config.pop("Hostname")
    bindings = {f"{inside}/tcp": [{"HostIp": LOOPBACK, "HostPort": str(port)}]}
    return {
        **config,
        "Labels": {**(config.get("Labels") or {}), _NUMBER: str(number)},
        "HostConfig": {**first["HostConfig"], "PortBindings": bindings, "ContainerIDFile": ""},
        "NetworkingConfig": {"EndpointsConfig": dict(network)},
    }


def _endpoint(first: Mapping[str, Any], endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """As the first one is attached, but under no name that is its own alone."""
    own = {first["Id"][:12], first["Name"].lstrip("/")}
    kept = {key: value for key, value in endpoint.items() if key not in _OF_A_START and not key.endswith("PrefixLen")}
    return {**kept, "Aliases": [alias for alias in endpoint.get("Aliases") or () if alias not in own], "IPAMConfig": None}


def _is_named(first: Mapping[str, Any], mount: Mapping[str, Any]) -> bool:
    """One of the file, that is, and not made for this container alone."""
    declared = {entry.get("Source") for entry in first["HostConfig"].get("Mounts") or ()}
    declared |= {bind.partition(":")[0] for bind in first["HostConfig"].get("Binds") or ()}
    return mount["Name"] in declared
