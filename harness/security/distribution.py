"""Which packages of a distribution an image holds, by its own lists, and which of them have a security update, by the apt of this machine.

Lists: `/var/lib/dpkg/status`, and `/var/lib/dpkg/status.d` of images without a package manager, one file a package.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

STATUS = re.compile(r"(?:\./)?var/lib/dpkg/(?:status|status\.d/[^/]+(?<!\.md5sums))")
RELEASE = re.compile(r"(?:\./)?(?:etc|usr/lib)/os-release")
LARGEST_BYTES = 64 << 20
TIMEOUT_S = 300.0
_NEEDED = ("Package", "Version", "Architecture")
_TOLD = re.compile(r"^(?P<package>\S+):\n(?P<rest>(?:^ .*\n)*)", re.MULTILINE)
_VERSION = re.compile(r"^ (?P<mark>\*\*\*|   ) (?P<version>\S+) -?\d+$")


class DistributionError(Exception):
    """Packages cannot be compared: why."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Of an image: `release` is `debian-12`, or empty; `packages` are the fields of each package that is installed."""

    release: str
    packages: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Update:
    """A newer version in a security archive."""

    package: str
    old: str
    new: str


def held(archive: IO[bytes]) -> Holdings:
    """By the lists in a root file system, a tar stream. Raises DistributionError for no archive."""
    status, release = [], ""
    try:
        with tarfile.open(fileobj=archive, mode="r|") as files:
            for member in files:
                listed, named = STATUS.fullmatch(member.name), RELEASE.fullmatch(member.name)
                if not member.isfile() or member.size > LARGEST_BYTES or not (listed or named):
                    continue
                stream = files.extractfile(member)
                text = stream.read().decode("utf-8", errors="replace") if stream is not None else ""
                if listed:
                    status.append(text)
                else:
                    release = release or release_of(text)
    except (tarfile.TarError, OSError) as error:
        raise DistributionError(f"its files cannot be read: {error}") from error
    return Holdings(release, tuple(fields for text in status for fields in installed(text)))


def installed(text: str) -> Iterator[Mapping[str, str]]:
    """The fields of each package in a status file that is installed, without their continued lines."""
    for paragraph in text.split("\n\n"):
        fields = {name: value.strip() for name, _, value in (line.partition(":") for line in paragraph.splitlines() if line[:1].strip())}
        if fields.get("Package") and fields.get("Version") and fields.get("Status", "installed").endswith("installed"):
            yield fields


def release_of(text: str) -> str:
    """`debian-12`, of an os-release file; empty where it does not say."""
    fields = {name: value.strip().strip('"') for name, _, value in (line.partition("=") for line in text.splitlines())}
    return "-".join(part for part in (fields.get("ID", ""), fields.get("VERSION_ID", "")) if part)


def _here() -> str:
    try:
        found = platform.freedesktop_os_release()
    except OSError:
        return ""
    return "-".join(part for part in (found.get("ID", ""), found.get("VERSION_ID", "")) if part)


@dataclass
class Archives:
    """The archives that apt knows on this machine, by lists of their own: nothing on the machine changes. Closed after use.

    `sources` is a sources.list in place of the machine's.
    """

    release: str = field(default_factory=_here)
    sources: Path | None = None
    _folder: TemporaryDirectory[str] | None = None
    _trouble: str = ""

    def __enter__(self) -> Archives:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def updates(self, holdings: Holdings) -> list[Update]:
        """What the security archives would replace. Raises DistributionError where that cannot be told of every package."""
        if not holdings.packages:
            raise DistributionError("it lists no packages")
        if not holdings.release or holdings.release != self.release:
            raise DistributionError(
                f"it is of {holdings.release or 'no known release'}, and apt on this machine is of {self.release or 'none'}"
            )
        self._fetch()
        told = self._policy(holdings)
        names = {fields["Package"] for fields in holdings.packages}
        versions = {found["package"].partition(":")[0]: list(_versions(found["rest"])) for found in _TOLD.finditer(told)}
        unknown = sorted(name for name in names if not any(places for _, _, places in versions.get(name, ())))
        if unknown:
            raise DistributionError(f"no archive has {len(unknown)} of {len(names)} packages ({', '.join(unknown[:5])})")
        return [update for name in sorted(names) if (update := _update(name, versions[name])) is not None]

    def _fetch(self) -> None:
        """Once: what cannot be had now is not asked for again."""
        if self._trouble:
            raise DistributionError(self._trouble)
        if self._folder is not None:
            return
        self._folder = TemporaryDirectory(prefix="gauntlet-lists-")
        for name in ("lists/partial", "cache/archives/partial"):
            (Path(self._folder.name) / name).mkdir(parents=True)
        (Path(self._folder.name) / "status").touch()
        try:
            self._run("apt-get", "-qq", "update")
            if "security" not in self._run("apt-cache", "policy").lower():
                raise DistributionError("apt has no list of a security archive")
        except DistributionError as error:
            self._trouble = str(error)
            raise

    def _policy(self, holdings: Holdings) -> str:
        entries = [
            "".join(f"{name}: {fields.get(name, 'all')}\n" for name in _NEEDED)
            + "Status: install ok installed\nMaintainer: -\nDescription: -\n"
            for fields in holdings.packages
        ]
        assert self._folder is not None
        (Path(self._folder.name) / "status").write_text("\n".join(entries), encoding="utf-8")
        return self._run("apt-cache", "policy", *sorted({fields["Package"] for fields in holdings.packages}))

    def _run(self, program: str, *arguments: str) -> str:
        assert self._folder is not None
        folder = Path(self._folder.name)
        settings = [f"Dir::State::Lists={folder / 'lists'}", f"Dir::State::status={folder / 'status'}", f"Dir::Cache={folder / 'cache'}"]
        settings += ["APT::Sandbox::User=", "Debug::NoLocking=1"]
        if self.sources is not None:
            settings += [f"Dir::Etc::sourcelist={self.sources}", "Dir::Etc::sourceparts=-"]
        command = [program, *arguments, *(part for setting in settings for part in ("-o", setting))]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"}
            )
        except FileNotFoundError as error:
            raise DistributionError(f"{program} is not installed here") from error
        except subprocess.TimeoutExpired as error:
            raise DistributionError(f"{program} has not answered within {TIMEOUT_S:g} s") from error
        if done.returncode != 0:
            raise DistributionError(f"{program} {arguments[-1]}: {' '.join(done.stderr.split())[-300:]}")
        return done.stdout


def _versions(table: str) -> Iterator[tuple[str, bool, list[str]]]:
    """(version, whether it is the installed one, the archives that have it), newest first as apt-cache(8) prints them."""
    current: tuple[str, bool, list[str]] | None = None
    for line in table.splitlines():
        if found := _VERSION.match(line):
            if current is not None:
                yield current
            current = (found["version"], found["mark"] == "***", [])
        elif current is not None and not line.rstrip().endswith("/status"):
            current[2].append(line.strip())
    if current is not None:
        yield current


def _update(name: str, versions: list[tuple[str, bool, list[str]]]) -> Update | None:
    old = next((version for version, present, _ in versions if present), "")
    for version, _, places in versions:
        if version == old:  # an archive's entry of it may stand apart from the image's, where their other fields differ
            return None
        if any("security" in place.lower() for place in places):
            return Update(name, old, version)
    return None
