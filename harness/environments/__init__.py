"""Environments: layered configuration that is checked before anything is deployed with it, and has an id."""
