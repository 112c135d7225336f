"""Changes that are no faults: a good operator lets them happen."""

from __future__ import annotations

import http.client
import re
from urllib.parse import urlsplit

from pydantic import Field

from harness.faults.base import Evidence, TargetedFault, act, capability
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.stack.base import Instance, Rollbackable

METRICS_TIMEOUT_S = 1.0
_BUILD_INFO = re.compile(r'^rag_build_info\{[^}]*version="([^"]*)"', re.MULTILINE)


class RollingParameters(FaultParameters):
    """Parameters of `deploy.rolling`."""

    version: str = Field(description="the version to roll to", pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", json_schema_extra={"unit": "text"})


class RollingDeploy(TargetedFault[RollingParameters]):
    """A service is rolled to a new version, one drained instance at a time. The new version stays: a deploy is not taken back."""

    spec = FaultSpec(
        name="deploy.rolling",
        summary="Benign: rolls a service to a new version, one drained instance at a time. Nothing is wrong, nothing is to be done.",
        kind="none",
        parameters=RollingParameters,
        targets=("service",),
        needs=("Rollbackable",),
        evidence="every instance reports the new version in its own metrics (rag_build_info); gone: all instances are ready",
        example="{id: release, type: deploy.rolling, target: retrieval, at: fault, for: 30s, with: {version: 1.1.0}}",
        benign=True,
    )

    def inject(self) -> None:
        stack = capability(self.context.stack, Rollbackable)
        act(
            f"deploying {self.target.service} {self.parameters.version}", lambda: stack.deploy(self.target.service, self.parameters.version)
        )

    def verify(self) -> Evidence | None:
        versions = {i.name: reported_version(i) or i.version for i in self.context.stack.instances(self.target.service)}
        return {"versions": versions} if versions and set(versions.values()) == {self.parameters.version} else None

    def heal(self) -> None:
        """Nothing to take back: what was deployed is a good version, and stays."""

    def gone(self) -> Evidence | None:
        instances = self.context.stack.instances(self.target.service)
        ready = {instance.name: self.context.stack.probe(instance) is None for instance in instances}
        return {"ready": ready} if ready and all(ready.values()) else None


def reported_version(instance: Instance) -> str | None:
    """What the instance itself says in `rag_build_info`; None when it says nothing."""
    url = urlsplit(instance.url)
    if url.scheme != "http":
        return None
    connection = http.client.HTTPConnection(url.hostname or "127.0.0.1", url.port, timeout=METRICS_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    match = _BUILD_INFO.search(text)
    return match[1] if match else None


FAULTS = (RollingDeploy,)
