"""Runs a program as an ordinary user inside a user namespace of its own: `python -I userns.py PROGRAM ARGUMENT...`.

For PostgreSQL, which refuses to run as root and does not start for a user without an account: inside the namespace it is user 65534,
outside it stays who it was, so it may read what its caller may read. A script without imports from this package, because it replaces
itself by the program at once. Exits 125 when the kernel or a container's seccomp filter forbids the namespace.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
NOBODY = 65534
FORBIDDEN = 125


def enter_namespace() -> None:
    """Become user and group 65534 of a new user namespace. Raises OSError."""
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    own = Path("/proc/self")
    (own / "uid_map").write_text(f"{NOBODY} {uid} 1", encoding="ascii")
    (own / "setgroups").write_text("deny", encoding="ascii")  # the kernel's condition for the next line
    (own / "gid_map").write_text(f"{NOBODY} {gid} 1", encoding="ascii")


def main(argv: list[str]) -> int:
    """Become the program `argv[1:]`; FORBIDDEN where this machine has no namespaces for us."""
    try:
        enter_namespace()
    except OSError as error:
        sys.stderr.write(f"no user namespace: {error}\n")
        return FORBIDDEN
    return os.execv(argv[1], argv[1:])  # only in form: this process is the other program now


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
