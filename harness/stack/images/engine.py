"""The Docker engine, by its command-line client, which finds it as ever (DOCKER_HOST, context): images are looked up, built, tagged."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.stack.images.recipes import ImageError

LOOK_TIMEOUT_S = 30.0
BUILD_TIMEOUT_S = 300.0


def check() -> None:
    """Raises ImageError where no engine answers."""
    if shutil.which("docker") is None:
        raise ImageError("no Docker client on the PATH: install Docker, or run pipelines/docker as root on Debian or Ubuntu")
    _docker(["version", "--format", "{{.Server.Version}}"], "no Docker engine answers")


def identity(reference: str) -> str | None:
    """The id of an image that the engine has; None when it has none of that name."""
    done = _run(["image", "inspect", "--format", "{{.Id}}", reference], LOOK_TIMEOUT_S)
    return done.stdout.strip() if done.returncode == 0 else None


def described(references: Iterable[str]) -> list[dict[str, Any]]:
    """What `docker image inspect` says of images that are there."""
    wanted = list(references)
    if not wanted:
        return []
    found: list[dict[str, Any]] = json.loads(_run(["image", "inspect", *wanted], LOOK_TIMEOUT_S).stdout or "[]")
    return found


def references(repository: str, label: str) -> list[str]:
    """`repository/name:tag` of every image there that has the label."""
    filters = [f"--filter=reference={repository}/*", f"--filter=label={label}"]
    return _docker(["image", "ls", *filters, "--format={{.Repository}}:{{.Tag}}"], "images cannot be listed").splitlines()


def build(reference: str, context: bytes, arguments: Mapping[str, str], labels: Mapping[str, str]) -> None:
    """Build from a tar archive without a network. Raises ImageError with the end of what the builder said."""
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    options += [f"--label={name}={value}" for name, value in labels.items()]
    command = ["build", "--quiet", "--force-rm", "--network=none", f"--tag={reference}", *options, "-"]
    _docker(command, f"{reference} cannot be built", context, BUILD_TIMEOUT_S)


def tag(reference: str, name: str) -> None:
    """Give an image another name. Raises ImageError."""
    _docker(["tag", reference, name], f"{reference} cannot be tagged {name}")


def remove(reference: str) -> bool:
    """Take a name from an image, and the image away with the last; False where a container uses it."""
    return _run(["image", "rm", reference], LOOK_TIMEOUT_S).returncode == 0


def python_version(reference: str) -> str:
    """`3.11`: of the Python in an image. Raises ImageError."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    run = ["run", "--rm", "--network=none", "--label=gauntlet.helper=images", "--entrypoint=python3", reference, "-c", code]
    return _docker(run, f"{reference} has no Python 3").strip()


def pull(reference: str) -> None:
    """Fetch an image that the engine does not have. Raises ImageError."""
    _docker(["pull", "--quiet", reference], f"{reference} is not on this engine and cannot be pulled", timeout_s=BUILD_TIMEOUT_S)


def _docker(arguments: Sequence[str], trouble: str, given: bytes | None = None, timeout_s: float = LOOK_TIMEOUT_S) -> str:
    done = _run(arguments, timeout_s, given)
    if done.returncode != 0:
        raise ImageError(f"{trouble}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout


def _run(arguments: Sequence[str], timeout_s: float, given: bytes | None = None) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(["docker", *arguments], input=given, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise ImageError(f"docker {arguments[0]}: no answer within {timeout_s:g} s") from None
    except FileNotFoundError:
        raise ImageError("no Docker client on the PATH") from None
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )
