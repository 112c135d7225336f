"""Docker's compose plug-in: what it makes of a file, and bringing a project up and down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from harness.stack.base import StackError
from harness.stack.child import Command
from harness.sweep import LABEL

CALL_TIMEOUT_S = 30.0
DOWN_GRACE_S = 5
"""What a service gets to finish in at the end; whole seconds, as the plug-in wants them."""
_INSTALL = (
    "install Docker's compose plug-in (Debian: docker-compose, elsewhere docker-compose-plugin) so that `docker compose version` works"
)


def why_not() -> str | None:
    """The reason why there is no plug-in to work with, and what to do about it; None where there is one."""
    if shutil.which("docker") is None:
        return f"no `docker` on the PATH: install Docker's command line, and {_INSTALL}"
    try:
        done = _run("version")
    except (OSError, subprocess.SubprocessError) as error:
        return f"`docker compose version` does not work: {error}; {_INSTALL}"
    return None if done.returncode == 0 else f"`docker compose version` does not work: {_last(done.stderr)}; {_INSTALL}"


def resolve(file: Path) -> dict[str, Any]:
    """The file as compose understands it: merged, interpolated, with absolute paths. Needs no engine. Raises StackError."""
    if not file.is_file():
        raise StackError(f"there is no compose file {file} (from {Path.cwd()})")
    if (reason := why_not()) is not None:
        raise StackError(reason)
    try:
        done = _run("--file", str(file.resolve()), "config", "--format", "json")
    except (OSError, subprocess.SubprocessError) as error:
        raise StackError(f"{file}: docker compose config: {error}") from error
    if done.returncode != 0:
        raise StackError(f"{file}: docker compose refuses it: {_last(done.stderr)}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def up(project: str, file: Path, run_id: str, log: Path) -> Command:
    """Bring everything of a resolved file up, in the background; ends when all has been started."""
    return _command(project, file, run_id, log, "up", "--detach", "--quiet-pull")


def down(project: str, file: Path, run_id: str, log: Path) -> Command:
    """End and remove everything of the project, its volumes too."""
    return _command(project, file, run_id, log, "down", "--volumes", "--remove-orphans", "--timeout", str(DOWN_GRACE_S))


def _command(project: str, file: Path, run_id: str, log: Path, *words: str) -> Command:
    argv = ("docker", "compose", "--ansi", "never", "--progress", "plain", "--project-name", project, "--file", str(file), *words)
    # with our label, by which a sweep finds it: a plug-in that outlived a killed run would go on making containers
    return Command(argv=argv, env={**os.environ, LABEL: run_id}, cwd=file.parent, log=log)


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "compose", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CALL_TIMEOUT_S, check=False
    )


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"
