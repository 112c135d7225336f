"""What every engine's process does around its load: files open and closed, the harness's orders heard, a failure written down.

With the harness it speaks JSON lines. Out: `{"metrics_port": n, "ready": true}`, once. In: `{"t0_ns": n}` starts the schedule at that
monotonic time; `{"stop": true}`, like SIGTERM, ends it early and in order; the end of stdin means that the harness died: exit at once.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from harness.load.answers import Knowledge, load_knowledge
from harness.load.metrics import ClientMetrics
from harness.load.plan import API_KEY_VARIABLE, LoadPlan
from harness.load.recorder import GapFile, Recorder
from harness.load.sides import CANDIDATE_KEY_VARIABLE
from harness.load.versions import Keys, Versions
from harness.record.clock import SystemClock
from harness.record.events import LOAD, Event
from harness.record.journal import Journal

WARM_CONNECTIONS = 8
WARM_S = 5.0
OWNER_GONE = 3
_GC_ALLOCATIONS = 50_000  # of containers more than were freed, until garbage is looked for: what a request leaves has hardly a cycle
_NICENESS = -10


class HarnessGone(BaseException):
    """The process that owns this one has died."""


@dataclass(frozen=True, slots=True)
class Load:
    """What an engine is given to work with."""

    plan: LoadPlan
    clock: SystemClock
    record: Callable[[Event], Event]
    recorder: Recorder
    metrics: ClientMetrics
    knowledge: Knowledge
    versions: Versions
    answers_fd: int

    def say_ready(self, metrics_port: int) -> None:
        """Tell the harness that the load may begin."""
        os.write(self.answers_fd, json.dumps({"metrics_port": metrics_port, "ready": True}).encode() + b"\n")


def carry_out(argv: list[str], run: Callable[[Load], None]) -> int:
    """0 when the load was carried out or stopped, 1 when it failed (the last event says why), 3 when the harness died."""
    answers_fd = os.dup(1)
    os.dup2(2, 1)  # whatever is printed, by a locustfile or a library, is no answer: it goes to the log
    plan = LoadPlan.from_json(Path(argv[1]).read_text(encoding="utf-8"))
    clock = SystemClock()
    journal = Journal(Path(plan.events_file))
    # The rows of workers go to segments of their own; this one is then never used, and there is none.
    gaps = GapFile(Path(plan.gaps_dir)) if plan.gaps_dir is not None else None
    recorder = Recorder(Path(plan.requests_dir), plan.journey_names, NoRows() if plan.workers > 1 else None, gaps)
    keys = os.environ.get(API_KEY_VARIABLE), os.environ.get(CANDIDATE_KEY_VARIABLE)
    try:
        return perform(plan, clock, journal.append, recorder, keys, run, answers_fd)
    finally:
        recorder.close()
        journal.close()


def perform(
    plan: LoadPlan,
    clock: SystemClock,
    record: Callable[[Event], Event],
    recorder: Recorder,
    keys: Keys,
    run: Callable[[Load], None],
    answers_fd: int,
) -> int:
    """`carry_out`, with the files open."""
    metrics = ClientMetrics(plan.journey_names)
    try:
        _raise_descriptor_limit()
        _take_precedence()
        knowledge = load_knowledge(plan.questions_file, plan.corpus_file)
        run(Load(plan, clock, record, recorder, metrics, knowledge, Versions(plan, knowledge, clock, keys), answers_fd))
    except HarnessGone:
        return OWNER_GONE
    except Exception as error:  # noqa: BLE001  # whatever it was, the record must say why there is no load
        traceback.print_exc()
        record(Event(clock.now_ns(), LOAD, "truth", {"state": "failed", "error": f"{type(error).__name__}: {error}"}))
        return 1
    return 0


class NoRows:
    """The `RowWriter` of who writes none."""

    def append(self, rows: NDArray[Any]) -> None:
        assert not len(rows)

    def rename(self, journeys: tuple[str, ...]) -> None: ...

    def close(self) -> None: ...


class Orders:
    """The harness's lines, as they come in pieces."""

    def __init__(self, begin: Callable[[int], None], stop: Callable[[], None]) -> None:
        self._begin = begin
        self._stop = stop
        self._unread = b""

    def feed(self, data: bytes) -> None:
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if order.get("stop"):
                self._stop()
            else:
                self._begin(int(order["t0_ns"]))


def _raise_descriptor_limit() -> None:
    """Each request in flight holds a connection; the usual soft limit of 1024 is no reason to drop one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _take_precedence() -> None:
    """An instrument must not wait behind what it measures: beside four processes that burn two cores, real-time
    scheduling keeps the dispatch lag (p99) at 1.3 ms, a lower niceness at 3 to 4, and neither at 14.

    Needs a right that few users have; without it, the health events show what the machine could not give.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))
    except OSError:  # no right to real-time scheduling, or a kernel without it
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)


def settle() -> None:
    """Before anything is timed: a full collection would else walk all that was imported, and hold back whatever is due meanwhile.

    What has ended lives until its frame is written; without a higher threshold, each collection would look at it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_ALLOCATIONS)
