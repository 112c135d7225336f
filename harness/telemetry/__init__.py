"""Telemetry: what the system under test says of itself. Read by the sampler and, in a process of its own, by the operator."""
