"""The load generators that are compared, each against the same server. All run with the same precedence, as far as the machine permits."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.load.driver import LoadProcess
from harness.load.plan import LoadFiles, build
from harness.record.frames import read_frames
from harness.record.journal import read_journal
from harness.record.requests import REQUEST, Outcome
from harness.scenario.model import LoadSpec
from tests.benchmarks.proxy_peers import ROOT

PEERS = ROOT / ".peers" / "load"
WRK, HEY, NGINX = PEERS / "usr/bin/wrk", PEERS / "usr/bin/hey", PEERS / "usr/sbin/nginx"
LIBRARIES = PEERS / "usr/lib/x86_64-linux-gnu"
CONNECTIONS = 32
START_S = 1.0  # of an open run that is not counted


@dataclass(frozen=True, slots=True)
class Figures:
    """What one generator did: answers per second, of its processor, and how late it was (none of the closed ones says)."""

    per_s: float
    cores: float
    lag_ms_p50: float = float("nan")
    lag_ms_p99: float = float("nan")
    delivered: float = 1.0  # of what was offered


def nothing(seconds: float) -> Figures:
    """A timer alone: how late the machine itself is."""
    done = _run([sys.executable, "-m", "tests.benchmarks.load_floor", f"{seconds:g}"], dict(os.environ), seconds)
    return Figures(0.0, **json.loads(done))


def stock_locust(url: str, seconds: float) -> Figures:
    """One process of Locust, closed."""
    said = locust_file("load_closed.py", url, seconds + 1.0, CONNECTIONS)
    assert said["failures"] == 0
    return Figures(said["requests"] / said["wall_s"], said["cpu_s"] / said["wall_s"])


def locust_file(name: str, url: str, seconds: float, users: int, **environment: str) -> dict[str, Any]:
    """What a locustfile of this folder prints last."""
    argv = [sys.executable, "-m", "locust", "-f", str(Path(__file__).parent / name), "--headless", "--only-summary", "--loglevel", "ERROR"]
    argv += ["--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds:g}s", "--stop-timeout", "8", "--host", url]
    argv += ["--exit-code-on-error", "0"]
    done = _run(argv, {**os.environ, **environment}, seconds)
    said: dict[str, Any] = json.loads(next(line for line in done.splitlines() if line.startswith("{")))
    return said


def wrk(url: str, seconds: float) -> Figures:
    """One thread of wrk."""
    before_s, environment = _children_s(), {**os.environ, "LD_LIBRARY_PATH": str(LIBRARIES)}
    done = _run([str(WRK), "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", f"{url}/small"], environment, seconds)
    found = re.search(r"Requests/sec:\s*([\d.]+)", done)
    assert found is not None, done
    return Figures(float(found[1]), (_children_s() - before_s) / seconds)


def hey(url: str, seconds: float) -> Figures:
    """hey with as many workers as connections."""
    before_s = _children_s()
    done = _run([str(HEY), "-z", f"{seconds:.0f}s", "-c", str(CONNECTIONS), f"{url}/small"], dict(os.environ), seconds)
    found = re.search(r"Requests/sec:\s*([\d.]+)", done)
    assert found is not None, done
    return Figures(float(found[1]), (_children_s() - before_s) / seconds)


def ours(url: str, seconds: float, folder: Path, engine: str, rate: float) -> Figures:
    """An open load of this project, everything recorded."""
    rows, health = open_load(url, seconds + START_S, folder, engine, rate)
    t0_ns = int(rows["intended_ns"].min())
    counted = rows[rows["intended_ns"] >= t0_ns + START_S * 1e9]
    sent = counted[counted["start_ns"] > 0]
    served = counted[counted["outcome"] == Outcome.OK]
    assert len(served), "nothing was served"
    lag_ms = (sent["start_ns"] - sent["intended_ns"]) / 1e6
    span_s = (served["end_ns"].max() - served["start_ns"].min()) / 1e9
    cores = [h["cpu_ratio"] for h in health[1:-1]] or [h["cpu_ratio"] for h in health]
    p50, p99 = np.percentile(lag_ms, (50, 99))
    return Figures(len(served) / span_s, float(np.mean(cores)), float(p50), float(p99), len(served) / len(counted))


def open_load(url: str, seconds: float, folder: Path, engine: str, rate: float, **load: Any) -> tuple[NDArray[Any], list[dict[str, Any]]]:
    """The rows and the health events of one load of plain requests."""
    folder.mkdir(parents=True)
    (folder / "requests").mkdir()
    asked = {"shape": [{"constant": f"{rate:.3f}/s"}], "mix": {"small": 1}, "journeys": {"small": {"get": "/small"}}, "max_in_flight": 1000}
    spec = LoadSpec.model_validate({**asked, **({} if engine == "locust" else {"engine": engine}), **load})
    files = LoadFiles(folder / "requests", folder / "events-load.jsonl")
    plan = build(spec, files, run_id="benchmark", duration_s=seconds, seed=1, base_url=url, service_urls={})
    process = LoadProcess(plan, folder, None)
    process.start()
    try:
        process.wait_ready(30.0)
        process.begin(time.monotonic_ns() + 100_000_000)
        code = process.finish(seconds + 60.0)
    finally:
        process.stop()
    assert code == 0, (folder / "logs" / "load.log").read_text()
    rows = np.concatenate([frame for file in sorted((folder / "requests").glob("*.seg")) for frame in read_frames(file, REQUEST)])
    return rows, [dict(e.data) for e in read_journal(folder / "events-load.jsonl") if e.data["state"] == "health"]


def _run(argv: list[str], environment: dict[str, str], seconds: float) -> str:
    done = subprocess.run(
        argv,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        preexec_fn=_first,
    )
    return done.stdout


def _first() -> None:
    """The precedence that the load process of this project takes, where it may."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
