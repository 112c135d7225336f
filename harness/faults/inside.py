"""Runs inside of a pod, as `python3 -c TEXT MODE JSON`: what somebody there sees. Standard library only, of Python 3.9 or newer.

Prints one JSON document. Modes: `trips` (questions to another service), `names` (what a name leads to), `usage` (processors and memory of
its control group), `write` (a file in a folder).
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
from typing import Any

CGROUP = "/sys/fs/cgroup"
ANSWER_BYTES = 64


def trips(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """`count` conversations with `host`:`port` in which `ask` (hex) is answered, up to the first that takes `until_s`.

    Each is `{"s": seconds}` from the question to the answer, or `{"end": why}` where there was none within `patience_s`.
    """
    found: list[dict[str, Any]] = []
    for _ in range(asked["count"]):
        found.append(_trip(asked))
        if found[-1].get("s", asked["until_s"]) >= asked["until_s"]:
            break
    return found


def _trip(asked: dict[str, Any]) -> dict[str, Any]:
    begun = time.monotonic()
    try:
        with socket.create_connection((asked["host"], asked["port"]), timeout=asked["patience_s"]) as connection:
            connected = time.monotonic()
            connection.sendall(bytes.fromhex(asked["ask"]))
            if not connection.recv(ANSWER_BYTES):
                return {"end": "closed"}
            return {"s": time.monotonic() - connected, "connected_s": connected - begun}
    except socket.timeout:  # noqa: UP041 - another class before Python 3.10
        return {"end": "silent"}
    except OSError as error:
        return {"end": type(error).__name__}


def names(asked: dict[str, Any]) -> dict[str, Any]:
    """The addresses of each of `hosts`, or why there are none."""
    found: dict[str, Any] = {}
    for host in asked["hosts"]:
        try:
            found[host] = sorted({entry[4][0] for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
        except OSError as error:
            found[host] = str(error) or type(error).__name__
    return found


def usage(asked: dict[str, Any]) -> dict[str, Any]:
    """Processors used over `over_s`, and bytes of memory, of the control group; its limits, where it has any."""
    before, begun = _cpu_s(), time.monotonic()
    time.sleep(asked["over_s"])
    used = (_cpu_s() - before) / (time.monotonic() - begun)
    memory = _number(f"{CGROUP}/memory.current") or _number(f"{CGROUP}/memory/memory.usage_in_bytes")
    limit = _number(f"{CGROUP}/memory.max") or _number(f"{CGROUP}/memory/memory.limit_in_bytes")
    return {"cpus": used, "cpu_limit": _cpu_limit(), "memory_bytes": memory, "memory_limit_bytes": limit}


def write(asked: dict[str, Any]) -> dict[str, Any]:
    """Write `bytes` to the file `path`, and remove it: `{"errno": null}`, or the name of the error."""
    try:
        descriptor = os.open(asked["path"], os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, bytes(asked["bytes"]))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            os.remove(asked["path"])  # noqa: PTH107 - as little as possible is imported
    except OSError as error:
        return {"errno": errno.errorcode.get(error.errno or 0, str(error.errno))}
    return {"errno": None}


def _cpu_s() -> float:
    for line in _lines(f"{CGROUP}/cpu.stat"):
        if line.startswith("usage_usec "):
            return int(line.split()[1]) / 1e6
    return (_number(f"{CGROUP}/cpuacct/cpuacct.usage") or 0) / 1e9


def _cpu_limit() -> float | None:
    parts = " ".join(_lines(f"{CGROUP}/cpu.max")).split()
    if len(parts) == 2 and parts[0] != "max":
        return int(parts[0]) / int(parts[1])
    quota, period = _number(f"{CGROUP}/cpu/cpu.cfs_quota_us"), _number(f"{CGROUP}/cpu/cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _number(path: str) -> int | None:
    text = "".join(_lines(path)).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _lines(path: str) -> list[str]:
    try:
        with open(path) as file:  # noqa: PTH123 - as little as possible is imported
            return file.read().splitlines()
    except OSError:
        return []


MODES = {"trips": trips, "names": names, "usage": usage, "write": write}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(MODES[sys.argv[1]](json.loads(sys.argv[2]))))
