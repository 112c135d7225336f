"""A run of the product in a process of its own, and what of it is left afterwards.

Found by pid, port, file and memory segment, as they were just before the end: not by the product's own sweep alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.cgroups import groups_of
from harness.record import events as ev
from harness.record.events import Event
from harness.record.journal import read_journal
from harness.sweep import processes_of
from harness.sweep_containers import things_of

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.02
GONE_S = 15.0  # after which nothing of a killed run may be left

# Small and quick: a stack of single replicas but for the one that is broken, few documents, little load.
STACK = "stack: {use: reference, documents: 60, replicas: {retrieval: 2, generation: 1}}"


def environment(tmp: Path) -> dict[str, str]:
    """Ours, with a temporary directory of the test's own, so that `clean` sees this test's runs and no others."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GAUNTLET_")}
    return {**kept, "TMPDIR": str(tmp), "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}


def gauntlet(*arguments: str | Path, tmp: Path, timeout_s: float = 60.0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", *map(str, arguments)],
        env=environment(tmp),
        cwd=cwd or ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@dataclass(frozen=True)
class Footprint:
    """What a run holds at one moment. Processes are (pid, create time): a pid that is used again is another process."""

    at_s: float  # Unix time
    run_id: str | None
    work_dirs: tuple[Path, ...]
    processes: frozenset[tuple[int, float]]
    ports: frozenset[int]
    shared_memory: frozenset[str]


class LiveRun:
    """`gauntlet run` under way, below a temporary directory of its own."""

    def __init__(self, scenario: str, tmp: Path, *arguments: str) -> None:
        self.tmp = tmp
        self.out = tmp / "runs"
        self.file = tmp / "scenario.yaml"
        self.file.write_text(scenario, encoding="utf-8")
        self.finished: tuple[int, str] | None = None
        self._log = (tmp / "run.log").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness.cli", "run", str(self.file), "--out", str(self.out), *arguments],
            env=environment(tmp),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    @property
    def log(self) -> str:
        """What it said to the person so far."""
        return (self.tmp / "run.log").read_text(encoding="utf-8")

    @property
    def directory(self) -> Path | None:
        """Of its record, once there is one."""
        return next(iter(sorted(p.parent for p in self.out.glob("*/*/run.json"))), None)

    @property
    def record(self) -> Path:
        """The same, where it must be there."""
        assert self.directory is not None, f"no record:\n{self.log}"
        return self.directory

    def events(self) -> list[Event]:
        """All it recorded so far, by time."""
        files = self.directory.glob("events*.jsonl") if self.directory else ()
        return sorted((e for f in files for e in read_journal(f)), key=lambda e: e.t_ns)

    def wait_for(self, seen: Callable[[list[Event]], bool], within_s: float = 60.0) -> None:
        """Until the record shows it; fails when the run ends first, or takes longer."""
        deadline_s = time.monotonic() + within_s
        while not seen(self.events()):
            assert self.process.poll() is None, f"ended with {self.process.returncode} before it came to that:\n{self.log}"
            assert time.monotonic() < deadline_s, f"not seen within {within_s:g} s:\n{self.log}"
            time.sleep(POLL_S)

    def wait(self, within_s: float = 60.0) -> int:
        """The exit code."""
        return self.process.wait(within_s)

    def finish(self, within_s: float = 60.0) -> tuple[int, str]:
        """The exit code and what stood on standard output."""
        out, _ = self.process.communicate(timeout=within_s)
        self.finished = self.process.returncode, out
        return self.finished

    def kill(self) -> Footprint:
        """SIGKILL for the harness alone; what it held at that moment."""
        held = self.footprint()
        self.process.kill()
        self.process.wait()
        return held

    def end(self) -> None:
        """Whatever a failed test left running."""
        held = self.footprint()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()
        wait_until_nothing_is_left(held, self.tmp)
        for process in _alive(held):
            process.kill()

    def footprint(self) -> Footprint:
        """What it holds now: its descendants, whatever carries its mark, their ports and shared memory."""
        work_dirs = tuple(sorted(self.tmp.glob("gauntlet-*")))
        run_id = work_dirs[0].name.removeprefix("gauntlet-") if work_dirs else None
        found: dict[int, psutil.Process] = {}
        try:
            harness = psutil.Process(self.process.pid)
            found.update((p.pid, p) for p in [harness, *harness.children(recursive=True)])
        except psutil.NoSuchProcess:
            pass  # it has ended; its mark finds what it left
        if run_id is not None:
            for entry in processes_of(run_id, work_dirs[0]):
                with suppress(psutil.NoSuchProcess):
                    found.setdefault(entry.pid, psutil.Process(entry.pid))
        held = [identity for identity in map(_identity, found.values()) if identity is not None]
        return Footprint(
            time.time(),
            run_id,
            work_dirs,
            frozenset(held),
            frozenset(port for process in found.values() for port in _ports(process)),
            frozenset(name for process in found.values() for name in _shared_memory(process)),
        )


def left_of(held: Footprint, tmp: Path) -> list[str]:
    """Everything that is still there of a run that should be gone."""
    left = [f"process {p.pid} ({p.info['name']}, {p.info['status']})" for p in _alive(held)]
    if held.run_id is not None:
        left += [f"marked process {found.pid} ({found.name})" for found in processes_of(held.run_id, held.work_dirs[0])]
        left += [str(thing) for thing in things_of(held.run_id)]
        left += [f"control group {folder}" for folder in groups_of(held.run_id)]
    left += [f"port {port} of process {pid}" for port, pid in _listening(held)]
    left += [f"directory {path}" for path in (*tmp.glob("gauntlet-*"), *tmp.glob(".gauntlet-*")) if path.is_dir()]
    left += [f"shared memory {name}" for name in sorted(held.shared_memory) if Path(name).exists()]
    left += [f"shared memory segment {key}" for key in _segments(held)]
    return left


def wait_until_nothing_is_left(held: Footprint, tmp: Path, within_s: float = GONE_S) -> tuple[float, list[str]]:
    """(seconds until nothing was left, nothing) or (all the time there was, what is left)."""
    start_s = time.monotonic()
    while (left := left_of(held, tmp)) and time.monotonic() - start_s < within_s:
        time.sleep(POLL_S)
    return time.monotonic() - start_s, left


def assert_clean(tmp: Path) -> None:
    """`gauntlet clean` has nothing to do, and knows of no live run."""
    done = gauntlet("clean", "--json", tmp=tmp)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"cleaned": [], "live": [], "complete": True}), done.stderr


def in_phase(name: str) -> Callable[[list[Event]], bool]:
    """That phase has begun."""
    return lambda events: any(e.kind == ev.PHASE and e.data["name"] == name for e in events)


def stack_state(state: str) -> Callable[[list[Event]], bool]:
    """`starting`, `ready`, `stopping` …"""
    return lambda events: any(e.kind == ev.STACK and e.data["state"] == state for e in events)


def effective(*fault_ids: str) -> Callable[[list[Event]], bool]:
    """There is evidence that all of these faults bite."""
    return lambda events: set(fault_ids) <= {e.data["id"] for e in events if e.kind == ev.FAULT and e.data["step"] == "effective"}


def _identity(process: psutil.Process) -> tuple[int, float] | None:
    try:
        return process.pid, process.create_time()
    except psutil.NoSuchProcess:
        return None


def _alive(held: Footprint) -> list[psutil.Process]:
    pids = {pid for pid, _ in held.processes}
    there = [p for p in psutil.process_iter(["create_time", "name", "status"]) if p.pid in pids]
    return [p for p in there if (p.pid, p.info["create_time"]) in held.processes and p.info["status"] != psutil.STATUS_ZOMBIE]


def _ports(process: psutil.Process) -> list[int]:
    try:
        return [c.laddr.port for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN and c.laddr]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def _listening(held: Footprint) -> Iterator[tuple[int, int]]:
    """Ports of the run on which somebody older than its end still listens: whoever came later got a free port, rightly."""
    for connection in psutil.net_connections("inet"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or connection.pid is None:
            continue
        try:
            if connection.laddr.port in held.ports and psutil.Process(connection.pid).create_time() <= held.at_s:
                yield connection.laddr.port, connection.pid
        except psutil.NoSuchProcess:
            continue


def _shared_memory(process: psutil.Process) -> set[str]:
    """POSIX shared memory that it has mapped (PostgreSQL's)."""
    try:
        return {m.path for m in process.memory_maps() if m.path.startswith("/dev/shm/")}
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return set()


def _segments(held: Footprint) -> list[str]:
    """System V segments that one of its processes made (PostgreSQL's interlock); an older one is that of another, which had its pid."""
    created_s = {str(pid): at_s for pid, at_s in held.processes}
    rows = Path("/proc/sysvipc/shm").read_text(encoding="ascii").splitlines()
    column = {name: n for n, name in enumerate(rows[0].split())}
    made = [fields for fields in map(str.split, rows[1:]) if fields[column["cpid"]] in created_s]
    return [fields[column["shmid"]] for fields in made if int(fields[column["ctime"]]) + 2 >= created_s[fields[column["cpid"]]]]
