"""A stand-in for a Kubernetes cluster with Chaos Mesh: an API server by the client's own types, controllers, and pods that answer."""
