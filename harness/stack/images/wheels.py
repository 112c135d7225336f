"""Python distributions for images: those installed here; the same from pip where the image has another Python or one is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from harness.stack.images.recipes import ImageError

PIP_TIMEOUT_S = 300.0
_PAPERS = re.compile(r"[^/]+\.dist-info/(METADATA|(licenses/.*)?(LICEN[CS]E|COPYING|NOTICE)[^/]*)")
"""What tells which distribution it is, and on which terms: in every image, whatever else of it is kept."""
_NOT_RUN = re.compile(
    r"(^|.*/)(tests?|__pycache__|include)/.*|.*\.(pyc|pyi|pyx|pxd|pxi|c|h|cpp|a|typed|md|rst)"
    r"|.*\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json)|bin/.*|\.\./.*|/.*"
    r"|numpy/(distutils|f2py)/.*|numpy/_core/(_simd|_.*_tests)\..*|lxml/(html|isoschematron)/.*|lxml/objectify.*"
)
"""Of their files: what only tests, compilers and people need, what differs between installations, large ones that nothing imports."""


def pinned(roots: Iterable[str], closure: bool) -> dict[str, str | None]:
    """Name to version: the one that a root names, else the one installed here, else None; with all they depend on when `closure`."""
    found: dict[str, str | None] = {}
    waiting = [Requirement(root) for root in roots]
    while waiting:
        requirement = waiting.pop()
        name = _canonical(requirement.name)
        if name in found:
            continue
        asked = [one.version for one in requirement.specifier if one.operator == "=="]
        found[name] = asked[0] if asked else _installed(name)
        waiting += _required(name) if closure and not asked and found[name] is not None else ()
    return dict(sorted(found.items()))


def files(pins: Mapping[str, str | None], keep: Iterable[str], python: str, work: Path) -> Iterator[tuple[str, Path]]:
    """(path under site-packages, where it lies) of every file that is run, for Python `python` (`3.11`). Raises ImageError."""
    same = python == f"{sys.version_info.major}.{sys.version_info.minor}"
    absent = {name: version for name, version in pins.items() if not same or version is None or version != _installed(name)}
    patterns = tuple(keep)
    for name in pins.keys() - absent.keys():
        for file in metadata.distribution(name).files or ():
            if _wanted(str(file), patterns):
                yield str(file), Path(str(file.locate()))
    if absent:
        folder = _download(absent, python, work)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if _wanted(str(path.relative_to(folder)), patterns):
                yield str(path.relative_to(folder)), path


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _required(name: str) -> Iterator[Requirement]:
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield Requirement(requirement.name)


def _wanted(path: str, patterns: tuple[str, ...]) -> bool:
    return bool(_PAPERS.fullmatch(path)) or (not _NOT_RUN.fullmatch(path) and any(fnmatch(path, pattern) for pattern in patterns))


def _download(pins: Mapping[str, str | None], python: str, work: Path) -> Path:
    folder = work / "site"
    wanted = [name if version is None else f"{name}=={version}" for name, version in pins.items()]
    options = ["--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps", "--only-binary", ":all:", "--python-version", python]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), *wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ImageError(f"pip gave no {', '.join(wanted)} within {PIP_TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        raise ImageError(f"pip cannot get {', '.join(wanted)} for Python {python}: {done.stderr.strip()[-500:]}")
    return folder


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
