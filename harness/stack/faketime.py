"""A wall clock of its own for a process, by libfaketime (optional, GPL: `pip install rag-gauntlet[clock]`)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

_LIBRARY = Path("vendor", "libfaketime", "src", "libfaketime.so.1")  # in the wheel


def library() -> Path | None:
    """The library to be preloaded; None where it is not installed."""
    spec = find_spec("libfaketime")
    if spec is None or spec.origin is None:
        return None
    found = Path(spec.origin).parent / _LIBRARY
    return found if found.is_file() else None


def environment(library_path: Path, clock_file: Path) -> Mapping[str, str]:
    """For a process whose wall clock follows that file, at most a second late. The monotonic clock stays true: timers are not the fault."""
    return {
        "LD_PRELOAD": str(library_path),
        "FAKETIME_TIMESTAMP_FILE": str(clock_file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }


def content(offset_s: float, rate: float) -> str:
    """Of the file: seconds ahead (negative: behind) of the true time, running at `rate` times its pace."""
    return f"{offset_s:+.3f}s x{rate:.6f}\n"  # the pace always: one that is not given is the one before
