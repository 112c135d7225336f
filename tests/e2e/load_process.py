"""A load process of a test's own, on a plan, and what it left."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.load.driver import LoadProcess
from harness.load.plan import LoadFiles, LoadPlan, build
from harness.record.frames import FrameScan, read_frames
from harness.record.gaps import Gaps
from harness.record.journal import read_journal
from harness.record.requests import REQUEST
from harness.scenario.model import LoadSpec
from harness.sweep import identify
from tests.unit.load import target as doubles
from tests.unit.load.target import Target

START_S = 60.0  # a generous deadline: the machine may be busy
EACH_ENGINE = pytest.mark.parametrize("engine", ["locust", "asyncio"])  # for what must be the same on every engine


class Load:
    """A load process on a plan of `duration_s`, and what it left."""

    def __init__(self, directory: Path, url: str, duration_s: float, **load: Any) -> None:
        (directory / "requests").mkdir()
        (directory / "corpus.jsonl").write_text("\n".join(map(json.dumps, doubles.CORPUS)))
        (directory / "questions.jsonl").write_text("\n".join(map(json.dumps, doubles.QUESTIONS)))
        files = [directory / name for name in ("requests", "events-load.jsonl", "questions.jsonl", "corpus.jsonl")]
        spec = LoadSpec.model_validate({"mix": {"ask": 1}, **load})
        self.directory = directory
        given = LoadFiles(*files, gaps_dir=directory / "gaps")
        self.plan: LoadPlan = build(
            spec, given, run_id="run-1", duration_s=duration_s, seed=5, base_url=url, service_urls={}, preferred_model="big"
        )
        self.process = LoadProcess(self.plan, directory, "secret-key")

    def begin(self) -> None:
        self.process.start()
        self.process.wait_ready(START_S)
        self.process.begin(time.monotonic_ns() + 50_000_000)

    def run(self) -> None:
        """To its own end."""
        self.begin()
        assert self.process.finish(self.plan.duration_s + 60) == 0, self.log

    @property
    def rows(self) -> NDArray[Any]:
        frames = [frame for file in sorted((self.directory / "requests").glob("*.seg")) for frame in read_frames(file, REQUEST)]
        return np.concatenate(frames) if frames else np.zeros(0, REQUEST)

    def rows_by_name(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The rows, and the name of each one's journey by the header of its segment."""
        files = sorted((self.directory / "requests").glob("*.seg"))
        read = [(FrameScan(file).header["journeys"], frame) for file in files for frame in read_frames(file, REQUEST)]
        return np.concatenate([frame for _, frame in read]), np.array([names[n] for names, frame in read for n in frame["journey"]])

    @property
    def gaps(self) -> NDArray[Any]:
        return Gaps.find(self.directory / "gaps", []).rows

    @property
    def log(self) -> str:
        return (self.directory / "logs" / "load.log").read_text()

    def events(self, state: str) -> list[dict[str, Any]]:
        return [dict(e.data) for e in read_journal(self.directory / "events-load.jsonl") if e.data["state"] == state]

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid


@contextmanager
def loading(directory: Path, target: Target, duration_s: float, **load: Any) -> Iterator[Load]:
    one = Load(directory, target.url, duration_s, **load)
    try:
        yield one
    finally:
        one.process.stop()


def wait_for(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    return identify(pid) is None  # by one look: between two it may be reaped


async def hang(_method: str, _path: str, _body: dict[str, Any], _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()
