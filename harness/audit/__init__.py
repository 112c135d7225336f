"""Review of deployments from their files alone: compose files and Kubernetes manifests."""
