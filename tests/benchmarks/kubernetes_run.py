"""A whole run with the driver `kubernetes` on a stand-in for a cluster: `python -m tests.benchmarks.kubernetes_run`; about 75 s.

Load, operator and watchdog are the real ones; what answers in pods are stand-ins, so the load asks for their health alone. Exits with 0
when the run passes, and nothing is left on the cluster.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from harness import judge, run
from harness.lifecycle.checking import load_checked
from harness.scenario.model import StackSpec
from harness.stack.kubernetes.data import OwnDocuments
from harness.stack.kubernetes.stack import KubernetesStack
from harness.stack.options import StackOptions
from tests.cluster.server import FakeCluster

SCENARIO = """
name: on-a-cluster
stack: {use: reference, driver: kubernetes, documents: 20}
load:
  shape: [{constant: 8/s}]
  mix: {health: 1}
  journeys: {health: {get: "/health"}}
phases: {warmup: 4s, steady_state: 15s, fault: 24s, recovery: 15s}
faults:
  - {id: slow, type: network.latency, target: retrieval->postgres, at: fault, for: 8s, with: {delay: 100ms}}
  - {id: dead, type: process.kill, target: retrieval, at: fault+12s, for: 6s}
objectives:
  steady_state: {availability: ">= 90%"}
"""


class MadeOnly(OwnDocuments):
    """Documents that are made as ever, and put into nothing: the stores are stand-ins."""

    def fill(self, *_: Any) -> None:
        return


def build(spec: StackSpec, *, run_id: str, work_dir: Path, logs_dir: Path, **_: Any) -> KubernetesStack:
    """In the place of `build_stack`."""
    options = StackOptions(run_id, work_dir, logs_dir, documents=spec.documents)
    return KubernetesStack(options, spec.cluster, documents=MadeOnly())


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="kubernetes-run-") as name:
        folder = Path(name)
        cluster = FakeCluster(folder)
        cluster.start()
        os.environ["KUBECONFIG"] = str(cluster.kubeconfig)
        file = folder / "scenario.yaml"
        file.write_text(SCENARIO, encoding="utf-8")
        loaded, _ = load_checked(file)
        with patch.object(run, "build_stack", build):
            done = run.execute(loaded, run.Options(out=folder / "runs"))
        verdict = judge(done.directory.path).verdict
        for check in verdict.to_json()["checks"]:
            print(f"{check['status']:<13} {check['name']}: {check['reason']}")
        left = [one["metadata"]["name"] for one in cluster.store.select("Namespace")]
        print(f"{verdict.status.value}: {verdict.reason}; left on the cluster: {', '.join(left) or 'nothing'}")
        cluster.stop()
        return verdict.exit_code or int(bool(left))


if __name__ == "__main__":
    sys.exit(main())
