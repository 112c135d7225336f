"""For each rule of Kubernetes manifests: files that break it, at the lines that say HERE, and ones that keep it."""

from __future__ import annotations

from collections.abc import Mapping


def deployment(
    container: str = "", pod: str = "", spec: str = "", kind: str = "Deployment", name: str = "app # HERE?", image: str = "a:1"
) -> str:
    """A workload; `container` is indented by eight, `pod` by six, `spec` by two."""
    return (
        f"apiVersion: apps/v1\nkind: {kind}\nmetadata:\n  name: {name}\nspec:\n{spec}  template:\n    metadata: {{labels: {{app: it}}}}\n"
        f"    spec:\n{pod}      containers:\n      - name: main # HERE2?\n        image: {image}\n{container}"
    )


def named(text: str) -> str:
    """Expected at the name."""
    return text.replace("HERE?", "HERE").replace("# HERE2?", "")


def at_container(text: str) -> str:
    """Expected at the container."""
    return text.replace("HERE2?", "HERE").replace("# HERE?", "")


def plain(text: str) -> str:
    """Expected where the test says so alone, or nowhere."""
    return text.replace("# HERE?", "").replace("# HERE2?", "")


def both(*texts: str) -> str:
    return "---\n".join(texts)


def service(ports: str = "", spec: str = "", selector: str = "{app: it}") -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec:\n  selector: {selector}\n{spec}{ports}"


def scaler(least: int = 2, metrics: str = "", target: str = "app", at: str = "") -> str:
    return (
        f"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: h {at}\nspec:\n"
        f"  scaleTargetRef: {{kind: Deployment, name: {target}}}\n  minReplicas: {least}\n  maxReplicas: 4\n{metrics}"
    )


def budget(how: str, at: str = "") -> str:
    return (
        f"apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata:\n  name: b {at}\nspec:\n  {how}\n"
        "  selector: {matchExpressions: [{key: app, operator: In, values: [it]}]}\n"
    )


PORT = "        ports: [{name: http, containerPort: 80}]\n"
TWO = "  replicas: 2\n"
CPU = "  metrics:\n  - type: Resource {at}\n    resource: {{name: cpu, target: {{type: Utilization, averageUtilization: 70}}}}\n"
CASES: Mapping[str, tuple[str, str]] = {
    "privileged": (
        plain(deployment("        securityContext:\n          privileged: true # HERE\n")),
        deployment("        securityContext: {privileged: false}\n"),
    ),
    "docker_socket": (
        plain(deployment(pod="      volumes:\n      - name: s # HERE\n        hostPath: {path: /run/containerd/containerd.sock}\n")),
        deployment(pod="      volumes:\n      - name: s\n        emptyDir: {}\n"),
    ),
    "host_namespace": (plain(deployment(pod="      hostNetwork: true # HERE\n")), deployment(pod="      hostNetwork: false\n")),
    "host_path": (
        plain(deployment(pod="      volumes:\n      - name: s # HERE\n        hostPath: {path: /data}\n")),
        deployment(pod="      volumes:\n      - name: s\n        configMap: {name: c}\n"),
    ),
    "capability": (
        plain(deployment("        securityContext:\n          capabilities:\n            add:\n            - SYS_ADMIN # HERE\n")),
        deployment("        securityContext: {capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}\n"),
    ),
    "root_user": (
        plain(deployment(pod="      securityContext:\n        runAsUser: 0 # HERE\n")),
        deployment("        securityContext: {runAsUser: 1000}\n", pod="      securityContext: {runAsUser: 0}\n"),
    ),
    "may_be_root": (at_container(deployment()), deployment(pod="      securityContext: {runAsNonRoot: true}\n")),
    "privilege_escalation": (at_container(deployment()), deployment("        securityContext: {allowPrivilegeEscalation: false}\n")),
    "writable_root": (at_container(deployment()), deployment("        securityContext: {readOnlyRootFilesystem: true}\n")),
    "service_account_token": (named(deployment()), deployment(pod="      automountServiceAccountToken: false\n")),
    "plain_secret": (
        plain(deployment("        env:\n        - name: DB_PASSWORD # HERE\n          value: hunter2\n")),
        deployment(
            "        env:\n        - {name: DB_PASSWORD, valueFrom: {secretKeyRef: {name: s, key: p}}}\n"
            "        - {name: A_TOKEN_FILE, value: /run/t}\n"
        ),
    ),
    "committed_secret": (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: # HERE\n  password: aHVudGVyMg==\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {}\n",
    ),
    "secret_in_config": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  api_key: abc # HERE\n  mode: fast\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {mode: fast}\n",
    ),
    "unlocked_store": (
        at_container(deployment(image="redis:7")),
        both(
            deployment("        args: [--requirepass, $(PW)]\n", image="redis:7"),
            deployment("        envFrom: [{secretRef: {name: s}}]\n", image="postgres:16"),
        ),
    ),
    "exposed_store": (
        plain(both(service(spec="  type: NodePort # HERE\n"), deployment(image="redis:7"))),
        both(service(spec="  type: ClusterIP\n"), deployment(image="redis:7")),
    ),
    "exposed_dashboard": (
        plain(both(service(spec="  type: LoadBalancer # HERE\n"), deployment(image="prom/prometheus:v3"))),
        both(service(spec="  type: LoadBalancer\n"), deployment(image="team/app:1")),
    ),
    "plain_ingress": (
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: i # HERE\nspec: {rules: []}\n",
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: i\nspec: {tls: [{hosts: [a], secretName: s}]}\n",
    ),
    "no_network_policy": (
        named(deployment()),
        both(
            deployment(),
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: n}\nspec: {podSelector: {matchLabels: {app: it}}}\n",
        ),
    ),
    "mutable_tag": (plain(deployment(image="a # HERE")), deployment(image="a:1")),
    "no_readiness_probe": (
        at_container(deployment("        ports: [{containerPort: 80}]\n")),
        both(deployment("        ports: [{containerPort: 80}]\n        readinessProbe: {httpGet: {path: /, port: 80}}\n"), deployment()),
    ),
    "no_liveness_probe": (at_container(deployment()), deployment("        livenessProbe: {httpGet: {path: /, port: 80}}\n")),
    "vain_probe": (
        plain(deployment("        livenessProbe: {exec: {command: [sh, -c, 'check || true']}} # HERE\n")),
        deployment("        livenessProbe: {exec: {command: [sh, -c, check]}}\n"),
    ),
    "no_memory_limit": (at_container(deployment()), deployment("        resources: {limits: {memory: 1Gi}}\n")),
    "no_requests": (
        at_container(deployment("        resources: {requests: {cpu: 1}}\n")),
        both(
            deployment("        resources: {requests: {cpu: 1, memory: 1Gi}}\n"),
            deployment("        resources: {limits: {cpu: 1, memory: 1Gi}}\n"),
        ),
    ),
    "single_replica": (named(deployment()), both(deployment(), scaler(2))),
    "single_store": (named(deployment(image="postgres:16", kind="StatefulSet")), deployment(image="a:1", kind="StatefulSet")),
    "no_spread": (
        named(deployment(spec=TWO)),
        both(
            deployment(),
            deployment(spec=TWO, pod="      topologySpreadConstraints: [{maxSkew: 1}]\n"),
            deployment(spec=TWO, pod="      affinity: {podAntiAffinity: {}}\n", name="b"),
        ),
    ),
    "no_disruption_budget": (named(deployment(spec=TWO)), both(deployment(spec=TWO), budget("maxUnavailable: 1"))),
    "blocking_budget": (
        plain(both(deployment(spec=TWO), budget("minAvailable: 2", "# HERE"))),
        both(deployment(spec=TWO), budget("minAvailable: 1")),
    ),
    "no_autoscaler": (named(deployment(spec=TWO)), both(deployment(), scaler())),
    "blind_autoscaler": (
        plain(both(deployment(), scaler(metrics=CPU.format(at="# HERE")))),
        both(deployment("        resources: {requests: {cpu: 1}}\n"), scaler(metrics=CPU.format(at=""))),
    ),
    "unknown_scale_target": (plain(both(deployment(), scaler(target="apps", at="# HERE"))), both(deployment(name="app"), scaler())),
    "replicas_fought_over": (plain(both(deployment(spec="  replicas: 3 # HERE\n"), scaler())), both(deployment(), scaler())),
    "service_without_pods": (
        plain(both(service(selector="{app: other} # HERE"), deployment())),
        both(service(), deployment()),
    ),
    "service_port": (
        plain(both(service("  ports:\n  - port: 80\n    targetPort: web # HERE\n"), deployment(PORT))),
        both(
            service("  ports: [{port: 80, targetPort: http}, {port: 81, targetPort: 80}, {port: 82}]\n"),
            deployment(PORT),
        ),
    ),
    "killed_at_once": (
        plain(deployment(pod="      terminationGracePeriodSeconds: 0 # HERE\n")),
        deployment(pod="      terminationGracePeriodSeconds: 30\n"),
    ),
    "abrupt_rollout": (
        plain(deployment(spec=TWO + "  strategy: {type: Recreate} # HERE\n")),
        both(
            deployment(spec=TWO + "  strategy: {rollingUpdate: {maxUnavailable: 1}}\n"),
            deployment(spec="  strategy: {type: Recreate}\n"),
        ),
    ),
    "bare_pod": (
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p # HERE\nspec: {containers: [{name: a, image: 'a:1'}]}\n",
        deployment(kind="Job"),
    ),
    "no_restart": (
        plain(deployment(pod="      restartPolicy: Never # HERE\n")),
        both(deployment(kind="Job", pod="      restartPolicy: Never\n"), deployment()),
    ),
    "forgetful_store": (
        named(deployment(image="postgres:16", kind="StatefulSet")),
        both(
            deployment(image="postgres:16", kind="StatefulSet", spec="  volumeClaimTemplates: [{metadata: {name: d}}]\n"),
            deployment(image="postgres:16", pod="      volumes: [{name: d, persistentVolumeClaim: {claimName: c}}]\n"),
        ),
    ),
}
