"""One trial: the pipeline of a planted project as a process of its own, what stopped it, and what of it is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.planted.defects import Defect
from tests.benchmarks.planted.project import PIPELINE, make
from tests.e2e.live_run import Footprint, wait_until_nothing_is_left

_LOOK_S = 0.5
_LONGEST_S = 1800.0
_CLEAN = {"cleaned": [], "live": [], "complete": True}


def carry_out(defect: Defect, out: Path) -> dict[str, Any]:
    """The row of its table; its record stays below `out`. The project, the image and the temporary directory are removed."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    tmp = Path(tempfile.mkdtemp(prefix="planted-"))
    tmp.chmod(0o711)  # a database of another user may pass through
    image = f"rag-gauntlet-planted/{defect.name}:{os.getpid()}"
    project = tmp / "project"
    try:
        make(project, defect, image)
        commit = _commit(project)
        ended = _run(project, tmp, out)
        left = [*ended.left, *_left_of_image(image)] if "images" in defect.steps else ended.left
        return {
            "defect": defect.name,
            "commit": commit,
            "exit_code": ended.code,
            "left": left,
            **told(defect, ended.document),
            **ended.problem,
        }
    finally:
        if "images" in defect.steps:
            subprocess.run(["docker", "image", "rm", image], capture_output=True, check=False)
        shutil.rmtree(tmp, ignore_errors=True)


def told(defect: Defect, document: Mapping[str, Any]) -> dict[str, Any]:
    """What the document of a run says of the step that was to stop it: a pure function."""
    stages = document.get("stages", ())
    steps = {f"{stage['name']}/{step['id']}": step for stage in stages for step in stage["steps"]}
    stopped = [name for name, step in steps.items() if step["status"] not in (None, "PASS", "WARN")]
    return {
        "verdict": document.get("verdict"),
        "stopped_by": stopped,
        "reason": steps[stopped[0]]["reason"] if stopped else document.get("reason", ""),
        "seconds": document.get("seconds"),
        "step_seconds": steps[stopped[0]]["seconds"] if stopped else None,
        "not_run": {name: step["reason"] for name, step in steps.items() if step["state"] == "not_run"},
        "unanswered": [name for name, step in steps.items() if not step["status"] and step["state"] != "not_run"],
        "wanted_not_run": sorted(_after(defect, stages)),
    }


def problems(defect: Defect, row: Mapping[str, Any]) -> list[str]:
    """In what it is not as it should be; empty: stopped at the right place, with the right words, and nothing left."""
    found = [f"left: {one}" for one in row["left"]]
    found += [row["problem"]] if row.get("problem") else []
    wanted = ("FAIL", 1, [f"{defect.stage}/{defect.step}"]) if defect.stage else ("PASS", 0, [])
    if (got := (row["verdict"], row["exit_code"], row["stopped_by"])) != wanted:
        found.append(f"{_ending(*got)}; wanted {_ending(*wanted)}")
    found += [f"its reason does not say {words!r}" for words in defect.said if words not in row["reason"]]
    if sorted(row["not_run"]) != row["wanted_not_run"]:
        found.append(f"did not run: {_listed(sorted(row['not_run']))}; wanted: {_listed(row['wanted_not_run'])}")
    found += [f"{step} has no answer" for step in row["unanswered"]]
    found += [f"{step} does not say why it did not run: {why!r}" for step, why in row["not_run"].items() if not why.startswith("needs ")]
    because = (f"needs {defect.stage}, which FAILED ({defect.step})", f"needs {defect.step}, which FAILED")
    if defect.stage and row["not_run"] and not set(because) & set(row["not_run"].values()):
        found.append(f"nothing that did not run says: {because[0]}")
    return found


def _ending(verdict: str | None, exit_code: int, stopped_by: Sequence[str]) -> str:
    return f"{verdict}, exit code {exit_code}, stopped by {_listed(stopped_by)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


def _after(defect: Defect, stages: Sequence[Mapping[str, Any]]) -> set[str]:
    """Steps that must not run: those behind the defect's in its stage, and all of the stages that need it."""
    if not defect.stage:
        return set()
    stopped = {defect.stage}
    found: set[str] = set()
    for stage in stages:  # a stage stands behind those that it needs
        ids = [step["id"] for step in stage["steps"]]
        if stage["name"] == defect.stage:
            found |= {f"{stage['name']}/{one}" for one in ids[ids.index(defect.step) + 1 :]}
        elif stopped & set(stage["needs"]):
            stopped.add(stage["name"])
            found |= {f"{stage['name']}/{one}" for one in ids}
    return found


@dataclass(slots=True)
class _Ended:
    code: int
    document: Mapping[str, Any]
    left: list[str]
    problem: dict[str, str] = field(default_factory=dict)


def _run(project: Path, tmp: Path, out: Path) -> _Ended:
    """To its end. Raises KeyboardInterrupt after it has put everything back, where somebody interrupts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GAUNTLET_")}
    environment = {**kept, "TMPDIR": str(tmp), "PYTHONPATH": str(project)}
    argv = [sys.executable, "-m", "harness.cli", "pipeline", "run", PIPELINE, "--json", "--out", str(out.resolve() / "runs")]
    began_s = time.monotonic()
    with (out / "document.json").open("wb") as document, (out / "log").open("wb") as log:
        process = subprocess.Popen(
            argv, cwd=project, env=environment, stdin=subprocess.DEVNULL, stdout=document, stderr=log, start_new_session=True
        )
        watch = _Watch(process.pid, tmp)
        try:
            process.wait(_LONGEST_S - (time.monotonic() - began_s))
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait(120.0)
            raise
        finally:
            held = watch.end()
    _, left = wait_until_nothing_is_left(held, tmp)
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "clean", "--json"], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0 or json.loads(done.stdout) != _CLEAN:
        left.append(f"for gauntlet clean: {done.stdout.strip() or done.stderr.strip()}")
    try:
        return _Ended(process.returncode, json.loads((out / "document.json").read_text(encoding="utf-8")), left)
    except ValueError:
        return _Ended(process.returncode, {}, left, {"problem": f"no document: {(out / 'log').read_text(encoding='utf-8')[-400:]}"})


class _Watch:
    """Collects the processes of a run while it works, those that went their own way included: they have its TMPDIR."""

    def __init__(self, pid: int, tmp: Path) -> None:
        self._pid = pid
        self._tmp = str(tmp)
        self._processes: set[tuple[int, float]] = set()
        self._memory: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="watch", daemon=True)
        self._thread.start()

    def end(self) -> Footprint:
        """What it ever held. Ports are not among it: who listens is a process."""
        self._ended.set()
        self._thread.join(10.0)
        self._look()  # what was started last, and outlives it
        return Footprint(time.time(), None, (), frozenset(self._processes), frozenset(), frozenset(self._memory))

    def _follow(self) -> None:
        while not self._ended.wait(_LOOK_S):
            self._look()

    def _look(self) -> None:
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get("TMPDIR") == self._tmp:
                    self._note(process)
                    for child in process.children(recursive=True):  # a database clears its environment
                        self._note(child)
            except (psutil.Error, OSError):
                continue

    def _note(self, process: psutil.Process) -> None:
        try:
            one = (process.pid, process.create_time())
            if one not in self._processes:
                self._processes.add(one)
                self._memory |= {m.path for m in process.memory_maps() if m.path.startswith("/dev/shm/")}
        except (psutil.Error, OSError):
            return


def _left_of_image(image: str) -> list[str]:
    done = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", f"ancestor={image}"], capture_output=True, text=True, check=False
    )
    return [f"container {one}" for one in done.stdout.split()]


def _commit(project: Path) -> str:
    """On which it is planted."""
    argv = ["git", "-C", str(project), "rev-parse", "--short", "HEAD~1"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
