"""A TCP proxy for one edge of the stack: transparent until a fault is set over its admin API.

It is a program of its own (`python -m harness.faults.proxy`), so that it outlives no run (label and watchdog), survives a busy harness, and
adds little: one hop through one event loop. Layer 4 on purpose: the same proxy serves HTTP, PostgreSQL and Redis.

Reading order: `toxics` (pure: what happens to a chunk), `table` (which faults are in force), `relay` (sockets), `admin`, `__main__`.
"""
