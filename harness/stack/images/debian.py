"""Files of packages of the Debian or Ubuntu release at hand, in a folder: no root, nothing installed, no state of the machine touched.

What an image takes of a package's files comes with the package's papers: an entry in `/var/lib/dpkg/status.d`, where scanners look for the
packages of images without a package manager, and its copyright file (Debian Policy 12.5).
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.stack.images.recipes import ImageError

TIMEOUT_S = 300.0
STATUS = Path("var/lib/dpkg/status.d")
"""One file a package, as in dpkg's own `status`."""
_DOCUMENTS = Path("usr/share/doc")
MERGED = ("bin", "lib", "lib64", "sbin")  # links into usr, as in every current release: packages may still name either place
# What packages ask for to be set up and documented. Nothing is set up here.
_UNUSED = re.compile(
    r"adduser|.*debconf.*|dpkg|fonts-.*|init-system-helpers|javascript-common|libjs-.*|libpam.*|.*perl.*|passwd|tar|tzdata|usrmerge"
)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Files of packages below `root`; `owners` is the package of each, by its path from there."""

    root: Path
    owners: Mapping[str, str]


def release() -> str:
    """`debian 12 x86_64`: what the files will be of. Raises ImageError where there are no such packages."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise ImageError("images are made from packages of Debian or Ubuntu, and this machine has no apt-get or no dpkg-deb")
    os_release = platform.freedesktop_os_release()
    return f"{os_release['ID']} {os_release.get('VERSION_ID', 'rolling')} {platform.machine()}"


def unpack(packages: Collection[str], work: Path) -> Unpacked:
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
    (root / STATUS).mkdir(parents=True)
    owners: dict[str, str] = {}
    for deb in sorted(debs.iterdir()):
        name = _listed(deb, root)
        owners |= dict.fromkeys(_extract(deb, root), name)
    return Unpacked(root, owners)


def matching(root: Path, patterns: Sequence[str], without: Sequence[str]) -> Iterator[Path]:
    """Files and links below `root` that one of `patterns` names and none of `without`, in order; a link to a folder is one link."""
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_symlink() or path.is_file()}
    return iter(sorted(found.difference(*(root.glob(pattern) for pattern in without))))


def papers(unpacked: Unpacked, files: Iterable[Path]) -> Iterator[Path]:
    """Of the packages that these files below the root are of: their entries in `STATUS`, and their copyright files with the links there."""
    packages = {unpacked.owners.get(str(path.relative_to(unpacked.root))) for path in files} - {None}
    for name in sorted(str(one) for one in packages):
        yield unpacked.root / STATUS / name
        folder = unpacked.root / _DOCUMENTS / name
        while folder.is_symlink():  # to the folder of another package of the same source
            yield folder
            folder = folder.parent / folder.readlink()
        if (folder / "copyright").is_file():
            yield folder / "copyright"


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


def _listed(deb: Path, root: Path) -> str:
    """The name of a package, whose entry is written into `STATUS`."""
    control = _run(["dpkg-deb", "--field", str(deb)], deb.parent, f"{deb.name} cannot be read")
    first, _, rest = control.partition("\n")
    name = first.removeprefix("Package:").strip()
    (root / STATUS / name).write_text(f"{first}\nStatus: install ok installed\n{rest.rstrip()}\n", encoding="utf-8")
    return name


def _extract(deb: Path, root: Path) -> Iterator[str]:
    """Paths of the files and links that the package holds, as they lie below `root`."""
    unwanted = [f"--exclude=./usr/share/{name}" for name in ("man", "locale", "lintian", "bug")]
    literal = ["--verbose", "--quoting-style=literal"]
    tar = ["tar", "-x", *literal, "--keep-directory-symlink", "--no-same-owner", "-C", str(root), *unwanted]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as unpacking:
        done = subprocess.run(tar, stdin=unpacking.stdout, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0 or unpacking.returncode != 0:
        raise ImageError(f"{deb.name} cannot be unpacked: {done.stderr.strip()}")
    for line in done.stdout.splitlines():
        path = line.removeprefix("./")
        if not path.endswith("/"):
            yield f"usr/{path}" if path.partition("/")[0] in MERGED else path


def _run(command: Sequence[str], folder: Path, trouble: str) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ImageError(f"{trouble}: no answer within {TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        raise ImageError(f"{trouble}: {' '.join((done.stderr or done.stdout).split())[-500:]}")
    return done.stdout
