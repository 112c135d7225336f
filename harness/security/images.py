"""What a built image is and holds, by the `docker` command: settings, history, files, packages that the distribution has fixed."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import IO, Any, Protocol

from harness.audit.known import secret
from harness.findings import Finding
from harness.security.distribution import Update
from harness.security.rules import RULES

MAX_FILES = 200_000
MAX_TEXT = 256 << 10
_PRIVATE_NAMES = re.compile(
    r"(?:^|/)(?:id_(?:rsa|dsa|ecdsa|ed25519)|\.netrc|\.pypirc|\.npmrc|\.git-credentials|\.env|\.aws/credentials|\.docker/config\.json)$"
)
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s")
_TOKEN = re.compile(
    rb"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|sk-[A-Za-z0-9_-]{32,}|xox[abpr]-[A-Za-z0-9-]{20,}|pypi-[A-Za-z0-9_-]{40,})\b"
)
_SYSTEM = ("usr/", "lib/", "lib64/", "bin/", "sbin/", "proc/", "sys/", "dev/")
_ASSIGNED = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>'[^']*'|\"[^\"]*\"|[^\s;&|]+)")
_UPGRADE = re.compile(r"^Inst (?P<name>\S+) \[(?P<old>[^\]]+)\] \((?P<new>\S+) (?P<origin>[^)\[]*)")
_ASK_APT = "apt-get -qq update && apt-get -s -o Debug::NoLocking=1 dist-upgrade"


class EngineError(Exception):
    """The engine has no answer: why."""


class Engine(Protocol):
    """What is asked of a container engine."""

    def inspect(self, image: str) -> dict[str, Any]:
        """The document of `docker image inspect`. Raises EngineError."""

    def history(self, image: str) -> Sequence[str]:
        """The commands that made its layers. Raises EngineError."""

    def export(self, image: str) -> IO[bytes]:
        """Its file system as a tar archive. Raises EngineError."""

    def upgrades(self, image: str) -> str:
        """What `apt-get -s dist-upgrade` says inside it. Raises EngineError."""


@dataclass(frozen=True, slots=True)
class Docker:
    """The engine behind the `docker` command. Containers that it makes are removed."""

    timeout_s: float = 300.0

    def inspect(self, image: str) -> dict[str, Any]:
        """As the protocol says."""
        found: list[dict[str, Any]] = json.loads(self._run("image", "inspect", image))
        return found[0]

    def history(self, image: str) -> Sequence[str]:
        """As the protocol says."""
        return self._run("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).decode("utf-8", errors="replace").splitlines()

    def export(self, image: str) -> IO[bytes]:
        """As the protocol says. The container is made, and never started."""
        name = self._run("create", "--network", "none", "--label", "rag-gauntlet.security=1", image, "true").decode().strip()
        kept = TemporaryFile()  # noqa: SIM115  # whoever reads it closes it
        try:
            done = subprocess.run(["docker", "export", name], stdout=kept, stderr=subprocess.PIPE, timeout=self.timeout_s, check=False)
            if done.returncode != 0:
                raise EngineError(f"docker export: {_last(done.stderr)}")
        except BaseException:
            kept.close()
            raise
        finally:
            self._run("rm", "--force", name)
        kept.seek(0)
        return kept

    def upgrades(self, image: str) -> str:
        """As the protocol says. In a container of its own, which may reach the package lists."""
        shell = ("--rm", "--label", "rag-gauntlet.security=1", "--user", "0", "--entrypoint", "sh", image, "-c", _ASK_APT)
        return self._run("run", *shell).decode("utf-8", errors="replace")

    def _run(self, *arguments: str) -> bytes:
        try:
            done = subprocess.run(["docker", *arguments], capture_output=True, timeout=self.timeout_s, check=False)
        except FileNotFoundError as error:
            raise EngineError("docker is not installed here") from error
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"docker {arguments[0]} has not answered within {self.timeout_s:g} s") from error
        if done.returncode != 0:
            raise EngineError(f"docker {arguments[0]}: {_last(done.stderr)}")
        return done.stdout


def settings(document: dict[str, Any], place: str) -> Iterator[Finding]:
    """Root, no health check, secrets in the environment."""
    config = document.get("Config") or {}
    user = str(config.get("User") or "").partition(":")[0]
    if user in ("", "0", "root"):
        yield _finding("image.root_user", f"USER is {user or 'not said'}", place)
    test = (config.get("Healthcheck") or {}).get("Test") or []
    if not test or test == ["NONE"]:
        yield _finding("image.no_healthcheck", "no HEALTHCHECK", place)
    for entry in config.get("Env") or []:
        name, _, value = str(entry).partition("=")
        if secret(name, value):
            yield _finding("image.secret", f"the environment holds a secret ({name})", place)
    for label, value in (config.get("Labels") or {}).items():
        if secret(str(label), str(value)):
            yield _finding("image.secret", f"a label holds a secret ({label})", place)


def in_history(commands: Sequence[str], place: str) -> Iterator[Finding]:
    """Secrets that the making of a layer has left: ENV, ARG, and what a RUN was given."""
    told = set()
    for command in commands:
        for found in _ASSIGNED.finditer(command):
            name, value = found["name"], found["value"].strip("'\"")
            if name not in told and secret(name, value) and not value.startswith("$"):
                told.add(name)
                yield _finding("image.secret", f"its history holds a secret ({name})", place)


def in_files(archive: IO[bytes], place: str) -> tuple[list[Finding], int]:
    """Private files and texts with keys or tokens in them, and how many files there are. Raises EngineError for no archive."""
    found: list[Finding] = []
    count = 0
    try:
        with tarfile.open(fileobj=archive, mode="r|") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                count += 1
                if count > MAX_FILES:
                    raise EngineError(f"more than {MAX_FILES} files")
                why = _why_private(tar, member)
                if why:
                    found.append(_finding("image.secret", f"/{_plain(member.name)}: {why}", place))
    except (tarfile.TarError, OSError) as error:
        raise EngineError(f"its files cannot be read: {error}") from error
    return found, count


def upgrades(text: str, place: str) -> list[Finding]:
    """What the distribution's security archive would replace, as apt simulates it."""
    lines = [upgrade for line in text.splitlines() if (upgrade := _UPGRADE.match(line)) and "security" in upgrade["origin"].lower()]
    return outdated([Update(one["name"], one["old"], one["new"]) for one in lines], place)


def outdated(updates: Sequence[Update], place: str) -> list[Finding]:
    """A finding for each."""
    return [_finding("image.vulnerable_package", f"{one.package} {one.old}: {one.new} is a security update", place) for one in updates]


def _why_private(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    name = _plain(member.name)
    if name.startswith(_SYSTEM) or name.startswith("etc/ssl/") or not member.size:
        return ""
    if _PRIVATE_NAMES.search("/" + name):
        return "a file for secrets"
    if member.size > MAX_TEXT:
        return ""
    stream = tar.extractfile(member)
    content = stream.read(MAX_TEXT) if stream is not None else b""
    if _PRIVATE_KEY.search(content):
        return "a private key"
    return "a token" if _TOKEN.search(content) and b"\x00" not in content else ""


def _plain(name: str) -> str:
    return str(PurePosixPath(name)).removeprefix("./").lstrip("/")


def _finding(rule: str, message: str, place: str) -> Finding:
    return Finding(rule, RULES[rule].level, message, RULES[rule].instead, place)


def _last(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "nothing was said"
