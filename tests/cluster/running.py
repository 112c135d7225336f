"""A reference stack on the stand-in, with documents that nobody needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.cluster import Cluster, ClusterRef
from harness.stack.kubernetes.stack import KubernetesStack
from harness.stack.options import StackOptions
from tests.cluster.server import FakeCluster


class NoDocuments:
    """Where documents come from when the stores are stand-ins. `filled` are the URLs that were to be filled."""

    def __init__(self) -> None:
        self.filled: Mapping[str, str] = {}

    def make(self, options: StackOptions, _given_up: Any) -> None:
        (options.work_dir / "corpus").mkdir()

    def fill(self, _options: StackOptions, stores: Mapping[str, str], _given_up: Any) -> None:
        self.filled = stores


def ref(cluster: FakeCluster) -> ClusterRef:
    return ClusterRef(str(cluster.kubeconfig), "fake")


def stack_on(
    cluster: FakeCluster, folder: Path, documents: NoDocuments | None = None, run_id: str = "c0ffee", **options: Any
) -> KubernetesStack:
    """Not started."""
    folder.mkdir(exist_ok=True)
    made = StackOptions(run_id, folder / "work", folder, **options)
    stack = KubernetesStack(made, None, connect=Cluster.connect, documents=documents or NoDocuments())
    stack._ref = ref(cluster)  # whatever KUBECONFIG is
    return stack
