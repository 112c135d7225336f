"""Metric samples that the harness scraped itself: series described once, values in frames."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record.frames import FrameWriter, joined, read_frames

SAMPLE: np.dtype[Any] = np.dtype([("t_ns", "<i8"), ("series", "<u4"), ("value", "<f8")])


@dataclass(frozen=True, slots=True)
class Series:
    """Name and labels of a series; `target` is the instance it was scraped from."""

    number: int
    target: str
    name: str
    labels: Mapping[str, str]


class SampleWriter:
    """Writes `series.jsonl` and `samples.seg` under one directory; one thread."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._series_file = (directory / "series.jsonl").open("a", encoding="utf-8")
        self._frames = FrameWriter(directory / "samples.seg", SAMPLE, {})
        self._numbers: dict[tuple[str, str, tuple[tuple[str, str], ...]], int] = {}

    def append(self, t_ns: int, target: str, samples: Iterable[tuple[str, Mapping[str, str], float]]) -> None:
        """One scrape of one target."""
        rows = [(t_ns, self._number(target, name, labels), value) for name, labels, value in samples]
        self._series_file.flush()
        self._frames.append(np.array(rows, dtype=SAMPLE))

    def close(self) -> None:
        self._series_file.close()
        self._frames.close()

    def _number(self, target: str, name: str, labels: Mapping[str, str]) -> int:
        key = (target, name, tuple(sorted(labels.items())))
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._numbers)
            self._series_file.write(json.dumps({"number": number, "target": target, "name": name, "labels": dict(labels)}) + "\n")
        return number


def read_series(directory: Path) -> Iterator[Series]:
    """The described series; a torn last line is skipped."""
    path = directory / "series.jsonl"
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield Series(**json.loads(line))
        except ValueError:
            continue


def read_samples(directory: Path) -> NDArray[Any]:
    """Every sample as rows of `SAMPLE`."""
    path = directory / "samples.seg"
    return joined(list(read_frames(path, SAMPLE)) if path.exists() else [], SAMPLE)
