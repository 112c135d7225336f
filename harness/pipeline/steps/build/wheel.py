"""The project's wheel, built by pip in an environment of its own, with its digest and metadata."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import asdict, dataclass
from email.parser import BytesParser
from pathlib import Path

from pydantic import Field

from harness.pipeline.programs import Ended, ProgramError
from harness.pipeline.programs import carry_out as carry_out_program
from harness.pipeline.step import Context, StepResult
from harness.scenario.fields import Model
from harness.score.check import Status

OUTPUTS = {"file": "the wheel", "sha256": "its digest", "name": "the distribution's name", "version": "its version"}


_NAMES_AN_ERROR = re.compile(r"\s*[\w.]*(?:Error|Exception|ERROR): \S")
_NOT_TO_BE_HAD = re.compile("No matching distribution found|Max retries exceeded|new connection|Name or service not known")


class Wheel(Model):
    """Which project."""

    source: Path = Field(default=Path(), description="the folder with pyproject.toml")
    isolation: bool = Field(default=True, description="build in an environment of its own, which needs a package index")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a wheel says of itself (core metadata, PEP 566 and later)."""

    name: str
    version: str
    requires_python: str | None
    requires: tuple[str, ...]


class WheelError(ValueError):
    """A file that is no wheel, or one whose content is not what it lists."""


def carry_out(options: Wheel, context: Context) -> StepResult:
    """Build it. The same commit gives the same bytes: times in it are the commit's."""
    folder = context.directory / "dist"
    argv = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--disable-pip-version-check", "--wheel-dir", str(folder)]
    argv += [] if options.isolation else ["--no-build-isolation"]
    source = context.root / options.source
    try:
        ended = carry_out_program([*argv, str(source)], context, environment=_dated(source))
    except ProgramError as error:
        return StepResult(Status.INCONCLUSIVE, f"pip cannot be started: {error}")
    built = sorted(folder.glob("*.whl"))
    if ended.stopped:
        return StepResult(Status.INCONCLUSIVE, "it was stopped")
    if ended.code != 0 and any(_NOT_TO_BE_HAD.search(line) for line in ended.lines):
        return StepResult(Status.INCONCLUSIVE, f"what the build needs cannot be had: {_trouble(ended)}")
    if ended.code != 0 or len(built) != 1:
        return StepResult(Status.FAIL, f"no wheel was built ({ended.how}): {_trouble(ended)}")
    try:
        found = read(built[0])
    except WheelError as error:
        return StepResult(Status.FAIL, f"{built[0].name}: {error}")
    sha256 = digest(built[0])
    kept = context.directory / "metadata.json"
    kept.write_text(json.dumps({"file": built[0].name, "sha256": sha256, **asdict(found)}, indent=2) + "\n", encoding="utf-8")
    outputs = {"file": str(built[0]), "sha256": sha256, "name": found.name, "version": found.version}
    return StepResult(Status.PASS, f"{built[0].name}, sha256:{sha256}", evidence={"wheel": built[0], "metadata": kept}, outputs=outputs)


def _trouble(ended: Ended) -> str:
    """Of all that pip prints, the last line that names an error of the build itself."""
    named = [line.strip() for line in ended.lines if _NAMES_AN_ERROR.match(line)]
    return named[-1] if named else ended.last


def digest(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def read(file: Path) -> Metadata:
    """The metadata of a wheel that holds packages. Raises WheelError."""
    try:
        with zipfile.ZipFile(file) as archive:
            if (broken := archive.testzip()) is not None:
                raise WheelError(f"{broken} is damaged")
            places = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            if len(places) != 1:
                raise WheelError(f"{len(places)} files METADATA; a wheel has one")
            if not any(name.endswith((".py", ".so", ".pyi")) for name in archive.namelist()):
                raise WheelError("it holds no module: the build does not find the packages")
            headers = BytesParser().parsebytes(archive.read(places[0]))
    except (OSError, zipfile.BadZipFile) as error:
        raise WheelError(str(error)) from error
    if not headers["Name"] or not headers["Version"]:
        raise WheelError("its metadata has no name or no version")
    return Metadata(headers["Name"], headers["Version"], headers["Requires-Python"], tuple(headers.get_all("Requires-Dist", ())))


def _dated(source: Path) -> dict[str, str]:
    """SOURCE_DATE_EPOCH (reproducible-builds.org): the time of the commit; nothing outside a git repository, or where it is set."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return {}
    asked = subprocess.run(["git", "-C", str(source), "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False)
    return {"SOURCE_DATE_EPOCH": asked.stdout.strip()} if asked.returncode == 0 and asked.stdout.strip() else {}
