"""Arrival traces of other systems, and of own runs: when requests came, in seconds from the first one.

Formats: Azure's LLM inference traces of 2023 and 2024 (CSV `TIMESTAMP,ContextTokens,GeneratedTokens`), BurstGPT (CSV
`Timestamp,Model,Request tokens,Response tokens,…`, seconds), Mooncake (JSON lines with `timestamp` in milliseconds), and run records.
"""

from __future__ import annotations

import csv
import json
import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from harness.record import store
from harness.record.frames import FrameError, FrameScan, NewerSchemaError

_ARRIVALS_MAX = 10_000_000


class TraceError(ValueError):
    """The file is no such trace; the message says where and why."""


@dataclass(frozen=True)
class Trace:
    """`offsets_s` ascending, from 0. `journeys` are the names of a recorded run's, by `journey` (an index for each arrival); else none."""

    offsets_s: array[float]
    journeys: tuple[str, ...] = ()
    journey: bytes | None = None


def read_trace(file: str, format_name: str) -> Trace:
    """The whole trace. Raises TraceError."""
    try:
        path = Path(file).resolve()
        return _read(str(path), format_name, path.stat().st_mtime_ns)
    except OSError as error:
        raise TraceError(f"{file}: {error.strerror or error}") from error


@lru_cache(maxsize=8)
def _read(file: str, format_name: str, _changed_ns: int) -> Trace:
    if format_name == "record":
        return _recorded(Path(file))
    with Path(file).open(encoding="utf-8", newline="") as lines:
        return Trace(_offsets(file, _FORMATS[format_name](file, lines)))


def _offsets(file: str, times_s: Iterator[float]) -> array[float]:
    times = array("d")
    for time_s in times_s:
        times.append(time_s)
        if len(times) > _ARRIVALS_MAX:
            raise TraceError(f"{file}: more than {_ARRIVALS_MAX:,} arrivals; cut the file")
    if not times:
        raise TraceError(f"{file}: no arrivals in it")
    ordered = sorted(times)
    return array("d", (time_s - ordered[0] for time_s in ordered))


def _azure(file: str, lines: Iterator[str]) -> Iterator[float]:
    return _column(file, lines, "TIMESTAMP", lambda text: datetime.fromisoformat(text).timestamp(), "2023-11-16 18:01:50.995")


def _burstgpt(file: str, lines: Iterator[str]) -> Iterator[float]:
    return _column(file, lines, "Timestamp", float, "5.0 (seconds)")


def _column(file: str, lines: Iterator[str], name: str, read: Callable[[str], float], example: str) -> Iterator[float]:
    rows = csv.reader(lines)
    head = next(rows, [])
    if name not in head:
        raise TraceError(f"{file}:1:1: the first line names no column {name!r}; it has {', '.join(head) or 'nothing'}")
    place = head.index(name)
    for row in rows:
        if not row:
            continue
        text = row[place] if place < len(row) else ""
        try:
            value = read(text)
        except ValueError:
            value = float("nan")
        if not math.isfinite(value):
            column = sum(len(cell) + 1 for cell in row[:place]) + 1
            raise TraceError(f"{file}:{rows.line_num}:{column}: {text[:40]!r} is no {name}; write it like {example}")
        yield value


def _mooncake(file: str, lines: Iterator[str]) -> Iterator[float]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            stamp = json.loads(line)["timestamp"]
        except (ValueError, KeyError, TypeError):
            stamp = None
        if not isinstance(stamp, int | float) or isinstance(stamp, bool) or not math.isfinite(stamp):
            raise TraceError(f'{file}:{number}:1: no JSON object with a numeric `timestamp`; write it like {{"timestamp": 3000}}')
        yield stamp / 1000.0


_FORMATS: dict[str, Callable[[str, Iterator[str]], Iterator[float]]] = {"azure": _azure, "burstgpt": _burstgpt, "mooncake": _mooncake}


def _recorded(directory: Path) -> Trace:
    """Every arrival that a run offered, also those that were never sent."""
    found: list[tuple[int, int]] = []
    names: dict[str, int] = {}
    try:
        for file in sorted(store.RunDirectory(directory).requests.glob("*.seg")):
            scan = FrameScan(file)
            own = [names.setdefault(str(name), len(names)) for name in scan.header["journeys"]]
            for _, rows in scan.blocks():
                numbers = (own[number] for number in rows["journey"].tolist())
                found.extend(zip(rows["intended_ns"].tolist(), numbers, strict=True))
    except (FrameError, NewerSchemaError, KeyError, TypeError, ValueError, IndexError, OSError) as error:
        raise TraceError(f"{directory}: no run record that can be replayed: {error}") from error
    if not found:
        raise TraceError(f"{directory}: no run record with requests; give the directory of a run (`gauntlet list` shows them)")
    found.sort()
    first_ns = found[0][0]
    return Trace(array("d", ((t_ns - first_ns) / 1e9 for t_ns, _ in found)), tuple(names), bytes(number for _, number in found))
