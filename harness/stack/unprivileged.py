"""How to run PostgreSQL, which refuses root and wants a user with an account: the first rung of a ladder that works here.

1. as we are, when we are an ordinary user;
2. as root: as user 65534 (`nobody`), when it can read the binaries;
3. in a user namespace, which container engines forbid by default;
4. as root: as `nobody`, from a copy of the binaries that it can read.

Each rung is tried with the real binary in the real folder, not guessed from permissions.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.stack import userns
from harness.stack.base import StackError
from harness.stack.binaries import PostgresInstall

NOBODY = userns.NOBODY
TRIAL_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs PostgreSQL, and from where. `uid` is None for the caller's own user; `prefix` goes before every command."""

    rung: str
    install: PostgresInstall
    uid: int | None = None
    prefix: tuple[str, ...] = ()

    def own(self, folder: Path) -> None:
        """Make a folder of ours the account's."""
        if self.uid is not None:
            os.chown(folder, self.uid, self.uid)

    def run(self, argv: Sequence[str | Path], cwd: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Raises OSError when it cannot even be started."""
        return subprocess.run(
            [*self.prefix, *map(str, argv)],
            cwd=cwd,
            env={"LC_ALL": "C", "PATH": os.defpath},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout_s,
            user=self.uid,
            group=self.uid,
            extra_groups=None if self.uid is None else (),
        )


def choose_account(install: PostgresInstall, folder: Path) -> Account:
    """The first rung on which the server binary starts in `folder`. Raises StackError with the reason of each that does not."""
    reasons = []
    for account in _rungs(install, folder):
        reason = _trial(account, folder)
        if reason is None:
            return account
        reasons.append(f"{account.rung}: {reason}")
    raise StackError(
        f"PostgreSQL cannot be run here (user {os.geteuid()}, folder {folder}): {'; '.join(reasons)}; "
        "run as an ordinary user, or set TMPDIR to a folder that every user can enter"
    )


def _rungs(install: PostgresInstall, folder: Path) -> Iterator[Account]:
    in_namespace = (sys.executable, "-I", str(Path(userns.__file__)))
    if os.geteuid() != 0:
        if _has_account(os.geteuid()):
            yield Account("own user", install)
        yield Account("user namespace", install, prefix=in_namespace)
        return
    yield Account("nobody", install, uid=NOBODY)
    yield Account("user namespace", install, prefix=in_namespace)
    if install.tree:
        yield Account("nobody, from a copy", _copy(install, folder / "binaries"), uid=NOBODY)


def _has_account(uid: int) -> bool:
    """initdb looks its user up, and fails for one that /etc/passwd does not know (`docker run --user 12345`)."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _trial(account: Account, folder: Path) -> str | None:
    """None when the account can write to a folder of its own there and start the server binary, else why not."""
    room = folder / "trial"
    room.mkdir(mode=0o700)
    try:
        account.own(room)
        # by its path: a working directory is entered while we are still root
        script = 'touch "$1/file" && rm "$1/file" && exec "$2" --version'
        result = account.run(["/bin/sh", "-c", script, "trial", room, account.install.postgres], cwd=room, timeout_s=TRIAL_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    finally:
        room.rmdir()
    return None if result.returncode == 0 else (result.stderr.strip() or f"exit status {result.returncode}")


def _copy(install: PostgresInstall, to: Path) -> PostgresInstall:
    """The binaries' folders side by side under `to`: they find their libraries by relative paths."""
    ignore: Callable[[str, list[str]], set[str]] = shutil.ignore_patterns("include", "doc", "__pycache__")
    for source in install.tree:
        shutil.copytree(source, to / source.name, symlinks=True, ignore=ignore)
    for path in (to, *to.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    return PostgresInstall(to / install.bin.relative_to(install.tree[0].parent), f"copy of the {install.origin}")
