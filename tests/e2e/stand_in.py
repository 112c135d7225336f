"""A small harness stand-in for tests of the watchdog: takes a lease, starts what a run starts, says so, and then does as it is told.

`python -m tests.e2e.stand_in --work-dir=DIR --run-dir=DIR`: prints one JSON line with the pids and the port of its children; commands on
standard input: `beat` (until the next command), `release`. Whatever else happens to it is the test's doing. The directories stand behind an
equals sign for the same reason as the watchdog's: a process with the work directory as an argument counts as one of the run's.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from harness.faults.base import Undo
from harness.faults.lease import Lease
from harness.record.clock import SystemClock
from harness.sweep import LABEL, Found, identify

SLEEP = "import time\nwhile True: time.sleep(1)"
FAMILY = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {SLEEP!r}]).wait()"
LISTEN = "import socket, time\ns = socket.create_server(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\nwhile True: time.sleep(1)"
DEAF = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{SLEEP}"


def start(code: str, work_dir: Path, labelled: bool, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """One child, found again by its label, or by working in the work directory (as PostgreSQL, which hides its environment)."""
    env = {k: v for k, v in os.environ.items() if k != LABEL} | ({LABEL: work_dir.name.removeprefix("gauntlet-")} if labelled else {})
    cwd = "/" if labelled else str(work_dir)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main(work_dir: Path, run_dir: Path) -> None:
    """Until told otherwise."""
    clock = SystemClock()
    lease = Lease.take(work_dir.name.removeprefix("gauntlet-"), work_dir, run_dir, clock)
    (work_dir / "data").mkdir()
    (work_dir / "data" / "base").write_bytes(b"x" * 1000)
    listener = start(LISTEN, work_dir, labelled=True, stdout=subprocess.PIPE)
    paused = start(SLEEP, work_dir, labelled=False)
    children = [listener, paused, start(FAMILY, work_dir, labelled=True), start(DEAF, work_dir, labelled=False)]
    assert listener.stdout is not None
    port = int(listener.stdout.readline())
    found = identify(paused.pid)
    assert isinstance(found, Found)
    lease.hold("frozen", [Undo("continue", {"pid": found.pid, "create_time_s": found.create_time_s})])
    os.kill(paused.pid, signal.SIGSTOP)
    lease.hold("dead", [])
    pids = [child.pid for child in children]
    print(json.dumps({"watchdog": lease.watchdog_pid, "port": port, "paused": paused.pid, "pids": pids}), flush=True)
    command = ""
    while command != "release":
        lease.beat()  # a machine that takes 10 s for a test would make its watchdog take over
        readable, _, _ = select.select([sys.stdin], [], [], 0.1)
        command = sys.stdin.readline().strip() if readable else command
    for child in children:
        child.kill()
        child.wait()
    print(json.dumps({"released": lease.release()}), flush=True)


if __name__ == "__main__":
    main(*(Path(argument.partition("=")[2]) for argument in sys.argv[1:]))
