"""A scripted fault, and worlds around it, for tests of how faults are played."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, ClassVar

from harness.faults.base import Evidence, FaultError, KnownFault, Target, Undo
from harness.faults.process import NoParameters
from harness.record.events import Event
from harness.scenario.catalog import FaultSpec


class ScriptedFault:
    """Does what `script` says: by verb, a list of answers, the last one repeated. An exception is raised. Notes calls in `calls`."""

    spec: ClassVar[FaultSpec] = FaultSpec(
        name="test.scripted",
        summary="",
        kind="crash",
        parameters=NoParameters,
        targets=("service",),
        needs=(),
        evidence="",
        example="",
    )

    def __init__(self, calls: list[str], script: dict[str, list[Any]] | None = None, name: str = "f") -> None:
        self.target = Target("retrieval")
        self._calls = calls
        self._name = name
        defaults: dict[str, list[Any]] = {"inject": [None], "verify": [{"seen": True}], "heal": [None], "gone": [{"seen": False}]}
        self._script = {**defaults, **(script or {})}

    def undo(self) -> Sequence[Undo]:
        self._calls.append(f"{self._name} undo")
        return (Undo("continue", {"pid": 1, "create_time_s": 0.0}),)

    def inject(self) -> None:
        self._answer("inject")

    def verify(self) -> Evidence | None:
        found: Evidence | None = self._answer("verify")
        return found

    def heal(self) -> None:
        self._answer("heal")

    def gone(self) -> Evidence | None:
        found: Evidence | None = self._answer("gone")
        return found

    def known(self) -> KnownFault:
        return KnownFault(self, lambda: {"id": self._name, "type": "test.scripted", "fault_kind": "crash", "service": "retrieval"})

    def _answer(self, verb: str) -> Any:
        self._calls.append(f"{self._name} {verb}")
        answers = self._script[verb]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeLease:
    """Notes what it is told, in the same list as the faults."""

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls
        self.beats = 0

    def hold(self, fault_id: str, undo: Sequence[Undo]) -> None:
        self._calls.append(f"{fault_id} hold {len(undo)}")

    def let_go(self, fault_id: str) -> None:
        self._calls.append(f"{fault_id} let_go")

    def beat(self) -> None:
        self.beats += 1

    def take_back(self) -> None:
        self._calls.append("take back")


class Recorder:
    """A journal in memory, which also notes each step in `calls`."""

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        self.events.append(event)
        self._calls.append(f"{event.data['id']} -> {event.data['step']}")

    def steps(self, fault_id: str = "f") -> list[str]:
        return [event.data["step"] for event in self.events if event.data["id"] == fault_id]

    def of(self, step: str) -> Event:
        (event,) = [event for event in self.events if event.data["step"] == step]
        return event


def at_once(work: Callable[[], Any]) -> Future[Any]:
    """A spawn that has finished before it returns."""
    future: Future[Any] = Future()
    try:
        future.set_result(work())
    except FaultError as error:
        future.set_exception(error)
    return future


class Held:
    """A spawn whose work waits until it is let go: for verbs that take their time."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], Any], Future[Any]]] = []

    def __call__(self, work: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((work, future))
        return future

    def let_go(self) -> None:
        for work, future in self._waiting:
            future.set_result(work())
        self._waiting.clear()
