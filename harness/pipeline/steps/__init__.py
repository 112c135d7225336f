"""The kinds of step: one module each, listed in harness/pipeline/registry.py."""
