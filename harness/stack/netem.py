"""Whether the kernel can delay packets: its network emulator, which not every kernel has, tried in a namespace of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

TRY_TIMEOUT_S = 30.0


def why_not() -> str | None:
    """None where `tc` can put `netem` on a device, else the reason: then proxies delay."""
    return _tried()


@cache
def _tried() -> str | None:
    if shutil.which("unshare") is None or shutil.which("tc") is None:
        return "`unshare` (util-linux) and `tc` (iproute2) are needed to tell"
    own = ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--net", "--map-root-user")
    try:
        tried = subprocess.run(
            [*own, "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TRY_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"no network namespace can be made: {error}"
    return None if tried.returncode == 0 else tried.stderr.strip() or f"tc ended with {tried.returncode}"
