"""What the harness saw when it looked at every instance that an operator may see: did it answer, how fast, and why not.

`looks.jsonl`: the schema, then lines of two kinds. An endpoint, once: `{"endpoint", "service", "instance", "url", "metrics"}`. A round of
looking: `{"t_ns", "took_s", "looks": [[endpoint, duration_s, error, serving, clock_ahead_s], …]}`; `error` is null where it answered. The
samples of a round are those of `samples.seg` with its `t_ns`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.record.events import SCHEMA_VERSION
from harness.record.journal import newer


class LooksError(ValueError):
    """The file holds no looks that this program can read."""


@dataclass(frozen=True, slots=True)
class Watched:
    """An instance as service discovery listed it. `metrics` None: it is probed directly, or not looked at."""

    service: str
    instance: str
    url: str
    metrics: str | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """How one instance answered; `error` is None when it did. `serving`: it did otherwise; `clock_ahead_s`: by the date of its answer."""

    at: Watched
    duration_s: float
    error: str | None = None
    serving: bool = False
    clock_ahead_s: float | None = None


@dataclass(frozen=True, slots=True)
class LookRound:
    """One round over all instances that were listed at `t_ns` (monotonic nanoseconds); it took `took_s`."""

    t_ns: int
    took_s: float
    looks: tuple[Looked, ...]


class LookWriter:
    """Appends rounds to `looks.jsonl` under one directory; one thread. Credentials in URLs are left out."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file = (directory / "looks.jsonl").open("a", encoding="utf-8")
        self._numbers: dict[Watched, int] = {}
        self._write({"schema": SCHEMA_VERSION})

    def append(self, round_: LookRound) -> None:
        looks = [[self._number(one.at), round(one.duration_s, 6), one.error, one.serving, one.clock_ahead_s] for one in round_.looks]
        self._write({"t_ns": round_.t_ns, "took_s": round(round_.took_s, 6), "looks": looks})
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _number(self, at: Watched) -> int:
        number = self._numbers.get(at)
        if number is None:
            number = self._numbers[at] = len(self._numbers)
            described = {
                "service": at.service,
                "instance": at.instance,
                "url": public(at.url),
                "metrics": at.metrics and public(at.metrics),
            }
            self._write({"endpoint": number, **described})
        return number

    def _write(self, document: dict[str, Any]) -> None:
        self._file.write(json.dumps(document, separators=(",", ":")) + "\n")


def public(url: str) -> str:
    """A URL without user, password and query: they may be credentials."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def read_looks(directory: Path) -> Iterator[LookRound]:
    """The rounds in order of time; a damaged line is skipped. Nothing where the record holds none. Raises LooksError: a newer schema."""
    path = directory / "looks.jsonl"
    if not path.exists():
        return
    endpoints: dict[int, Watched] = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                document = json.loads(line)
                if "schema" in document and document["schema"] > SCHEMA_VERSION:
                    raise LooksError(newer(path, document["schema"]))
                if "endpoint" in document:
                    endpoints[int(document["endpoint"])] = _watched(document)
                elif "looks" in document:
                    yield _round(document, endpoints)
            except LooksError:
                raise
            except (ValueError, KeyError, TypeError):
                continue  # the writer was cut off


def _watched(document: dict[str, Any]) -> Watched:
    return Watched(str(document["service"]), str(document["instance"]), str(document["url"]), document.get("metrics"))


def _round(document: dict[str, Any], endpoints: dict[int, Watched]) -> LookRound:
    looks: Sequence[Sequence[Any]] = document["looks"]
    seen = tuple(Looked(endpoints[int(number)], float(duration_s), *rest) for number, duration_s, *rest in looks)
    return LookRound(int(document["t_ns"]), float(document["took_s"]), seen)
