"""What the master of a load and its workers say to each other, whatever carries it, and the worker's half of that talk."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from numpy.typing import NDArray

from harness.load.child import Load, perform
from harness.load.plan import LoadPlan
from harness.load.recorder import Recorder
from harness.record.clock import SystemClock
from harness.record.events import Event

HELLO, PLAN, CLOCK, READY, BEGIN, STOP, END, JOURNEYS, ROWS, GAPS, EVENT, BYE = (
    f"gauntlet_{name}" for name in ("hello", "plan", "clock", "ready", "begin", "stop", "end", "journeys", "rows", "gaps", "event", "bye")
)
FROM_WORKERS = (HELLO, CLOCK, READY, JOURNEYS, ROWS, GAPS, EVENT)
START_S = 25.0  # from the start of the processes until all are ready
RELEASE_S = 10.0  # how long a worker waits for the word that its last message arrived

Send = Callable[[str, dict[str, Any]], object]


def clock_id() -> list[str]:
    """Whose monotonic clock this process reads: that of one boot of one host, and there of one time namespace."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/time")
    return [boot.read_text().strip(), str(namespace.readlink()) if namespace.is_symlink() else ""]


def handed_over(plan: LoadPlan, keys: list[str | None], here: bool) -> dict[str, Any]:
    """A worker's plan with what it needs of it: the texts of files that the plan names, and a locustfile's unless it runs `here`.

    Beside the locustfile on this host lies what it imports; elsewhere that must be installed.
    """
    named = {"questions_file": plan.questions_file, "corpus_file": plan.corpus_file} | ({} if here else {"locustfile": plan.locustfile})
    return {"plan": plan.to_json(), "files": {name: [Path(f).name, _text(f)] if f else None for name, f in named.items()}, "keys": keys}


def _text(file: str) -> str:
    return Path(file).read_text(encoding="utf-8")


def local_plan(text: str, files: dict[str, list[str] | None], directory: Path) -> LoadPlan:
    """A worker's plan, with the files that came along written where it can read them."""
    document = json.loads(text)
    for name, came in files.items():
        if came is not None:
            file = directory / name / Path(came[0]).name
            file.parent.mkdir()
            file.write_text(came[1], encoding="utf-8")
            document[name] = str(file)
    return LoadPlan.from_json(json.dumps(document))


class RemoteRows:
    """A worker's side of the record: rows go to the master as they would go to a file."""

    def __init__(self, send: Send, kind: str) -> None:
        self._send = send
        self._kind = kind

    def append(self, rows: NDArray[Any]) -> None:
        if len(rows):
            self._send(self._kind, {"rows": rows.tobytes()})

    def rename(self, journeys: tuple[str, ...]) -> None:
        """What the numbers in the rows mean from now on."""
        self._send(JOURNEYS, {"journeys": list(journeys)})

    def close(self) -> None:
        """Nothing is held back."""


class Seat:
    """A worker's place in the crew: it says who it is, tells its clock, and carries out the plan that it is given."""

    def __init__(self, send: Send, token: str) -> None:
        self._send = send
        self._token = token
        self._clock = SystemClock()

    def hello(self) -> None:
        self._send(HELLO, {"token": self._token, "host": socket.gethostname(), "pid": os.getpid(), "clock": clock_id()})

    def tell_clock(self, data: dict[str, Any]) -> None:
        """Answer a CLOCK."""
        self._send(CLOCK, {**data, "its_ns": self._clock.now_ns()})

    def carry_out(self, got: dict[str, Any], run: Callable[[Load], None]) -> int:
        """What a PLAN brought. The exit status: see `perform`."""
        with TemporaryDirectory() as folder:
            plan = local_plan(got["plan"], got["files"], Path(folder))
            rows, gaps = (RemoteRows(self._send, kind) for kind in (ROWS, GAPS))
            recorder = Recorder(Path(folder), plan.journey_names, rows, gaps if plan.gaps_dir is not None else None)
            key, candidate_key = got["keys"]
            return perform(plan, self._clock, self._record, recorder, (key, candidate_key), run, -1)

    def _record(self, event: Event) -> Event:
        self._send(EVENT, dict(event.data))
        return event
