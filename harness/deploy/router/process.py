"""The router's process, as whoever starts it sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from secrets import token_hex
from typing import Any

import psutil

from harness.deploy.router import TOKEN_VARIABLE
from harness.stack.ports import free_ports


def start_router(log: Path, seed: int) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Not waited for. The document says who it is, where users come in, and how it is controlled; it holds the token."""
    listen, control = free_ports(2)
    token = token_hex(16)
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.deploy.router", f"--listen={listen}", f"--control={control}", f"--seed={seed}"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, TOKEN_VARIABLE: token},
            start_new_session=True,
        )
    document = {
        "pid": process.pid,
        "create_time_s": psutil.Process(process.pid).create_time(),
        "url": f"http://127.0.0.1:{listen}",
        "control": {"url": f"http://127.0.0.1:{control}", "token": token},
    }
    return process, document
