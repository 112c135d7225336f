"""Every object of a deployment, from the topology of the reference stack. Pure: nothing is asked, nothing is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from harness.stack.images import deployment
from harness.stack.kubernetes import policies, workloads
from harness.stack.kubernetes.pods import STATE
from harness.stack.kubernetes.release import CONFIG, SECRET, Manifest, Release, object_name, port_of
from harness.stack.topology import PROVIDERS

HEADING = """\
# The reference RAG stack on Kubernetes, as `gauntlet kubernetes render` prints it; docs/kubernetes.md says more. Not verified on a cluster.
#
# Its secret is not in here. Make it, and its namespace, first:
#   python -m mocks.rag.credentials secrets && kubectl create namespace {namespace}
#   kubectl --namespace {namespace} create secret generic {secret} --from-file=secrets
"""


def render(release: Release) -> list[Manifest]:
    """The objects in an order in which they can be made: first the namespace, and what pods mount. The secret is made by somebody else."""
    services = list(release.topology.services.values())
    jobs = [workloads.migration(release)] if release.by_hand else []
    return [
        namespace(release),
        config(release),
        *(one for service in services for one in workloads.services(release, service)),
        *policies.wanted(release),
        *(workloads.workload(release, service) for service in services),
        *jobs,
    ]


def namespace(release: Release) -> Manifest:
    """Pods in it are confined as the standard for those that need nothing demands it."""
    enforced = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": release.namespace, "labels": {**release.labels, **enforced}}}


def config(release: Release) -> Manifest:
    """Service discovery and settings, and by hand the profiles of the mocks, which hold no key there."""
    data = {"registry.json": json.dumps(registry(release), indent=1)}
    if release.by_hand:
        folder = deployment() / "config"
        data |= {f"{name}.json": (folder / f"{name}.json").read_text(encoding="utf-8").strip() for name in PROVIDERS}
        data |= {f"{name}.json": json.dumps({"persist_dir": f"{STATE}/vectors"}) for name in _vector_stores(release)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": release.metadata(CONFIG), "data": data}


def registry(release: Release) -> dict[str, Any]:
    """What services read to find one another: each by its one name in the cluster, whatever pods there are behind it."""
    listed = [service.name for service in release.topology.services.values() if service.in_registry]
    entries = {name: [{"name": name, "url": f"http://{object_name(name)}:{port_of(name)}", "weight": 1}] for name in listed}
    return {
        "revision": 1,
        "services": entries,
        "settings": {"llm_provider": PROVIDERS[0], "cache_epoch": 0, "pool_epoch": 0, "shed_ratio": 0.0},
    }


def as_yaml(release: Release) -> str:
    """All of it in one file, with a heading."""
    heading = HEADING.format(namespace=release.namespace, secret=SECRET)
    return heading + "".join(f"---\n{_dump(one)}" for one in render(release))


def _vector_stores(release: Release) -> Sequence[str]:
    return [service.name for service in release.topology.services.values() if service.kind == "vector"]


class _Dumper(yaml.SafeDumper):
    """Long texts as blocks; no anchors, which not every reader of manifests follows."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - as the base class has it
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _dump(manifest: Manifest) -> str:
    return yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=140)
