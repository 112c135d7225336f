"""Files of packages of the Debian or Ubuntu release at hand, in a folder: no root, nothing installed, no state of the machine touched."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from harness.stack.images.recipes import ImageError

TIMEOUT_S = 300.0
MERGED = ("bin", "lib", "lib64", "sbin")  # links into usr, as in every current release: packages may still name either place
# What packages ask for to be set up and documented. Nothing is set up here.
_UNUSED = re.compile(
    r"adduser|.*debconf.*|dpkg|fonts-.*|init-system-helpers|javascript-common|libjs-.*|libpam.*|.*perl.*|passwd|tar|tzdata|usrmerge"
)


def release() -> str:
    """`debian 12 x86_64`: what the files will be of. Raises ImageError where there are no such packages."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise ImageError("images are made from packages of Debian or Ubuntu, and this machine has no apt-get or no dpkg-deb")
    os_release = platform.freedesktop_os_release()
    return f"{os_release['ID']} {os_release.get('VERSION_ID', 'rolling')} {platform.machine()}"


def unpack(packages: Collection[str], work: Path) -> Path:
    """Download packages with all that they depend on, and unpack them into a root folder under `work`. Raises ImageError."""
    apt = _apt(work)
    _run([*apt, "update"], work, "the lists of packages cannot be had")
    listed = _run([*apt, "--print-uris", "--yes", "install", *sorted(packages)], work, "packages cannot be resolved")
    names = [name for name in re.findall(r"^'\S+' ([^_\s]+)_\S+", listed, re.MULTILINE) if not _UNUSED.fullmatch(name)]
    debs = work / "debs"
    debs.mkdir()
    _run([*apt, "download", *names], debs, "packages cannot be downloaded")
    root = work / "root"
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for deb in sorted(debs.iterdir()):
        _extract(deb, root)
    return root


def matching(root: Path, patterns: Sequence[str], without: Sequence[str]) -> Iterator[Path]:
    """Files and links below `root` that one of `patterns` names and none of `without`, in order; a link to a folder is one link."""
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_symlink() or path.is_file()}
    return iter(sorted(found.difference(*(root.glob(pattern) for pattern in without))))


def _apt(work: Path) -> list[str]:
    """Its state under `work`, and nothing counted as installed: so whatever is needed is named."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    status = work / "status"
    status.touch()
    state = {"Dir::State::Lists": work / "lists", "Dir::State::status": status, "Dir::Cache": work / "cache"}
    settings = [
        *(f"{name}={value}" for name, value in state.items()),
        "APT::Sandbox::User=",
        "APT::Install-Recommends=0",
        "Debug::NoLocking=1",
    ]
    return ["apt-get", "-qq", *(part for setting in settings for part in ("-o", setting))]


def _extract(deb: Path, root: Path) -> None:
    unwanted = [f"--exclude=./usr/share/{name}" for name in ("doc", "man", "locale", "lintian", "bug")]
    tar = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(root), *unwanted]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as unpacking:
        done = subprocess.run(tar, stdin=unpacking.stdout, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0 or unpacking.returncode != 0:
        raise ImageError(f"{deb.name} cannot be unpacked: {done.stderr.strip()}")


def _run(command: Sequence[str], folder: Path, trouble: str) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ImageError(f"{trouble}: no answer within {TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        raise ImageError(f"{trouble}: {' '.join((done.stderr or done.stdout).split())[-500:]}")
    return done.stdout
