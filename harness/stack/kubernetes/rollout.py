"""What a rollout changes of a workload, and when it has come to its end. Pure."""

from __future__ import annotations

import copy

from harness.stack.kubernetes.release import CONTAINER, Manifest

_VARIABLE = "VERSION"


def to_version(workload: Manifest, version: str) -> tuple[str, Manifest]:
    """The version that its pods have, and the merge patch that gives them another one."""
    containers = copy.deepcopy(workload["spec"]["template"]["spec"]["containers"])
    (container,) = (one for one in containers if one["name"] == CONTAINER)
    variables = container.setdefault("env", [])
    before = next((str(one.get("value", "")) for one in variables if one["name"] == _VARIABLE), "")
    container["env"] = [*(one for one in variables if one["name"] != _VARIABLE), {"name": _VARIABLE, "value": version}]
    return before, {"spec": {"template": {"spec": {"containers": containers}}}}


def unsettled(workload: Manifest | None) -> str | None:
    """What its controller has still to do; None when all of its pods are those that are wanted, and ready."""
    if workload is None:
        return "it is gone"
    status, wanted = workload.get("status") or {}, workload["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        return "its controller has not seen the change"
    for count in ("updatedReplicas", "readyReplicas", "replicas"):
        if status.get(count, 0) != wanted:
            return f"{status.get(count, 0)} of {wanted} {count}"
    return None
