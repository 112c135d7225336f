"""The reference stack on Kubernetes: its manifests (`manifests.render`) and its driver (`stack.KubernetesStack`)."""
