"""What an image is made of: the packages of its Debian or Ubuntu release, and the Python distributions, that its files tell of."""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.parser import Parser
from typing import IO

from harness.pipeline.steps.build.parts import Part, PartsError
from harness.security.distribution import LARGEST_BYTES, RELEASE, STATUS, installed, release_of
from harness.stack.images.engine import described

_DISTRIBUTION = re.compile(r"(?:\./)?.*\.(?:dist|egg)-info/(?:METADATA|PKG-INFO)")
_REMOVE_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Contents:
    """The parts of an image but itself. `system` is false where it holds a release's files, and no list of its packages."""

    parts: tuple[Part, ...]
    release: str  # `debian-12`, or empty
    system: bool


def parts_of_image(reference: str) -> tuple[list[Part], Contents]:
    """The image first, and what is known of its contents. Raises PartsError, or ImageError where no engine answers."""
    found = described([reference])
    if not found:
        raise PartsError(f"there is no image {reference} on the engine")
    contents = _read(reference)
    identity = str(found[0]["Id"]).removeprefix("sha256:")
    name, _, tag = reference.rpartition(":")
    requires = tuple(sorted(part.ref for part in contents.parts))
    image = Part(f"image:{reference}", "container", name or reference, tag or "latest", identity, requires=requires)
    return [image, *contents.parts], contents


def contents_of(archive: IO[bytes]) -> Contents:
    """Of a root file system, as a tar stream."""
    status: list[str] = []
    distributions: list[str] = []
    release = ""
    with tarfile.open(fileobj=archive, mode="r|") as files:
        for member in files:
            if not member.isfile() or member.size > LARGEST_BYTES:
                continue
            lists = (STATUS.fullmatch(member.name), _DISTRIBUTION.fullmatch(member.name), RELEASE.fullmatch(member.name))
            if not any(lists):
                continue
            data = files.extractfile(member)
            text = data.read().decode("utf-8", errors="replace") if data else ""
            if lists[0]:
                status.append(text)
            elif lists[1]:
                distributions.append(text)
            else:
                release = release or release_of(text)
    parts = {part.ref: part for part in (*_debian(status, release), *_python(distributions))}
    return Contents(tuple(parts[ref] for ref in sorted(parts)), release, bool(status) or not release)


def _read(reference: str) -> Contents:
    """Through a container that is made, never started, and removed."""
    argv = ["docker", "create", "--network=none", "--label=gauntlet.helper=images", reference, "true"]
    made = subprocess.run(argv, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise PartsError(f"{reference} cannot be looked into: {made.stderr.strip()[-300:]}")
    container = made.stdout.strip()
    try:
        with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            return contents_of(process.stdout)
    except tarfile.TarError as error:
        raise PartsError(f"{reference} cannot be looked into: {error}") from error
    finally:
        subprocess.run(["docker", "rm", container], capture_output=True, check=False, timeout=_REMOVE_TIMEOUT_S)


def _debian(texts: Iterable[str], release: str) -> Iterator[Part]:
    from packageurl import PackageURL

    for fields in (one for text in texts for one in installed(text)):
        qualifiers = {"arch": fields.get("Architecture", ""), "distro": release}
        kept = {name: value for name, value in qualifiers.items() if value}
        vendor = release.partition("-")[0] or "debian"
        purl = PackageURL("deb", vendor, fields["Package"], fields["Version"], qualifiers=kept).to_string()
        yield Part(str(purl), "library", fields["Package"], fields["Version"])


def _python(texts: Iterable[str]) -> Iterator[Part]:
    from packageurl import PackageURL

    for text in texts:
        headers = Parser().parsestr(text, headersonly=True)
        if headers["Name"] and headers["Version"]:
            name, version = headers["Name"], headers["Version"]
            purl = PackageURL("pypi", name=re.sub(r"[-_.]+", "-", name).lower(), version=version).to_string()
            yield Part(str(purl), "library", name, version)
