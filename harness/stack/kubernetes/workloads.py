"""What runs: deployments, stateful sets with their claims, services, and the job that fills the stores."""

from __future__ import annotations

from collections.abc import Iterator

from harness.stack.kubernetes import pods
from harness.stack.kubernetes.release import CONTAINER, PORT_NAME, Manifest, Release, object_name, ports_of
from harness.stack.topology import Service

GATEWAY = "gateway"
MIGRATE = "migrate"
DOCUMENTS = "/var/lib/rag"
CLAIMED = {"postgres": "2Gi", "cache": "1Gi"}
CLAIM = "1Gi"
"""Of every other service that keeps something."""
PROGRESS_S = 120
SCALED = frozenset({"retrieval", "generation", "embedding", "query"})
"""Services without data whose work grows with the load; these have autoscalers."""


def is_stateful(service: Service) -> bool:
    """Whether its pods keep data of their own, and so a name."""
    return pods.data_folder(service) is not None


def workload(release: Release, service: Service) -> Manifest:
    """The deployment or stateful set of a service. One that is scaled by hand and by an autoscaler has two masters: it names no number."""
    replicas = release.topology.declared_replicas(release.replicas)[service.name]
    name = object_name(service.name)
    spec: Manifest = {
        "selector": {"matchLabels": release.selector(service.name)},
        "revisionHistoryLimit": 3,
        "template": pods.pod_template(release, service),
    }
    if not (release.by_hand and service.name in SCALED):
        spec["replicas"] = replicas
    if is_stateful(service):
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": CLAIMED.get(service.name, CLAIM)}}}
        spec |= {"serviceName": name, "podManagementPolicy": "Parallel"}
        spec["volumeClaimTemplates"] = [{"metadata": {"name": "data", "labels": release.labels}, "spec": claim}]
        kind = "StatefulSet"
    else:
        # a new pod is ready before an old one goes
        spec |= {
            "progressDeadlineSeconds": PROGRESS_S,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        }
        kind = "Deployment"
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": release.metadata(name, service.name), "spec": spec}


def services(release: Release, service: Service) -> Iterator[Manifest]:
    """Its name in the cluster. It leads to the pods themselves and not to an address of its own, for faults of the network go by the
    addresses of pods, as packets have them in the pod that sends them. The gateway has a name for users besides.
    """
    ports = [{"name": label, "port": port, "targetPort": label} for label, port in ports_of(release, service.name).items()]
    spec: Manifest = {"clusterIP": "None", "selector": release.selector(service.name), "ports": ports}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": release.metadata(object_name(service.name), service.name), "spec": spec}
    if service.name == GATEWAY:
        public = {
            "type": "ClusterIP",
            "selector": release.selector(GATEWAY),
            "ports": [{"name": "http", "port": 80, "targetPort": PORT_NAME}],
        }
        yield {"apiVersion": "v1", "kind": "Service", "metadata": release.metadata("public", GATEWAY), "spec": public}


def migration(release: Release) -> Manifest:
    """Makes the documents, and fills the stores with them; waits for those by trying again."""
    labels = {**release.labels, **release.selector(MIGRATE)}
    image = release.image(MIGRATE)
    shared = [*pods.mounts(), {"name": "documents", "mountPath": DOCUMENTS}]
    basics = {
        "image": image,
        "imagePullPolicy": pods.PULL,
        "securityContext": pods.CONFINED,
        "resources": pods.resources(pods.SIZE),
        "volumeMounts": shared,
    }
    variables = {
        "CORPUS_FILE": f"{DOCUMENTS}/corpus.jsonl",
        "DATABASE_URL_FILE": f"{pods.SECRETS}/database_url",
        "REGISTRY_FILE": f"{pods.SETTINGS}/registry.json",
        "VECTOR_STORE": release.vector_store,
    }
    template = {
        **pods.pod_basics(),
        "restartPolicy": "OnFailure",
        "initContainers": [{"name": "corpus", "args": ["mocks.rag.corpus", "--out", DOCUMENTS, "--seed", "1"], **basics}],
        "containers": [
            {
                "name": CONTAINER,
                "args": ["mocks.rag.migrate"],
                "env": [{"name": name, "value": value} for name, value in variables.items()],
                **basics,
            }
        ],
        "volumes": [*pods.mounted_volumes(), {"name": "documents", "emptyDir": {"sizeLimit": "256Mi"}}],
    }
    spec = {"backoffLimit": 12, "template": {"metadata": {"labels": labels}, "spec": template}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": release.metadata(MIGRATE, MIGRATE), "spec": spec}
