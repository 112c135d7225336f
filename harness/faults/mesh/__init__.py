"""Faults that on Kubernetes are objects of Chaos Mesh: which object is which fault (`table`), and how each is proved without asking it."""
