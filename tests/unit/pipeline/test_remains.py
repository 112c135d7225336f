"""Whose processes are ended with a step, and whose are not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil

from harness.pipeline import remains


def test_a_watchdog_and_what_it_starts_are_left_alone(tmp_path: Path) -> None:
    marked = {**os.environ, remains.MARK: str(tmp_path)}
    others = subprocess.Popen(["sh", "-c", "sleep 60 & wait"], env=marked)
    watchdog = subprocess.Popen(["sh", "-c", "sleep 60 & wait", "harness.faults.watchdog"], env=marked)
    try:
        while len(psutil.Process(others.pid).children()) < 1 or len(psutil.Process(watchdog.pid).children()) < 1:
            os.sched_yield()
        spared = {watchdog.pid, *(child.pid for child in psutil.Process(watchdog.pid).children())}
        ended = {others.pid, *(child.pid for child in psutil.Process(others.pid).children())}
        assert {one.pid for one in remains.marked(str(tmp_path))} == ended
        below = {one.pid for one in remains.below(os.getpid())}
        assert ended <= below and not spared & below
        assert remains.end(remains.marked(str(tmp_path))) == []
    finally:
        for process in (others, watchdog):
            for one in (*psutil.Process(process.pid).children(), process):
                one.kill()
            process.wait()
