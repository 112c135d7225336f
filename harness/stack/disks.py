"""The disk that the run's files lie on, and whether writing to it can be bounded here."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from harness import cgroups
from harness.stack.base import StackError

_DEVICES = Path("/sys/dev/block")


def device_of(folder: Path) -> str:
    """The whole disk (`8:0`) under the file system of a folder. Raises StackError where there is none."""
    number = folder.stat().st_dev
    name = f"{os.major(number)}:{os.minor(number)}"
    place = (_DEVICES / name).resolve()
    if not place.is_dir():
        raise StackError(f"the file system of {folder} lies on no block device")
    if (place / "partition").exists():
        return (place.parent / "dev").read_text(encoding="ascii").strip()
    return name


def why_not() -> str | None:
    """None where what instances write can be bounded, else the reason."""
    refused = cgroups.why_not()
    if refused is not None:
        return refused
    if cgroups.DISKS not in cgroups.hierarchy().folders:
        return "the kernel's control groups for disks are not mounted"
    try:
        device_of(Path(tempfile.gettempdir()))
    except StackError as error:
        return str(error)
    return None
