"""Traffic between two versions: the one actuator of blue-green and canary, and who is seen to answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from harness.faults.http_look import Answer, LookError, ask
from harness.record.clock import Clock
from harness.stack.base import AdminApi

FOLLOW_EVERY_S = 0.25


class RoutingError(RuntimeError):
    """The router does not do what it was told, or does not answer."""


@runtime_checkable
class Shiftable(Protocol):
    """Whatever users come in by: a router, an ingress, a service mesh."""

    def shift(self, weights: Mapping[str, float]) -> None:
        """Share out every request that arrives from now on by these weights, in one step. Raises RoutingError."""
        ...


@dataclass(frozen=True, slots=True)
class RouterClient:
    """`Shiftable`: the router of a site. `urls` is where each side answers."""

    api: AdminApi
    urls: Mapping[str, str]
    clock: Clock

    def shift(self, weights: Mapping[str, float]) -> None:
        self._call("PUT", "/weights", {"urls": dict(self.urls), "weights": dict(weights)})

    def state(self) -> Mapping[str, Any]:
        """`{urls, weights, in_flight, answered}`. Raises RoutingError."""
        return dict(self._call("GET", "/state").json())

    def in_flight(self, side: str) -> int:
        """Requests that this side has not answered yet. Raises RoutingError."""
        return int(self.state()["in_flight"].get(side, 0))

    def answers_after(self, number: int) -> Sequence[Mapping[str, Any]]:
        """What has passed since the answer of that number, the oldest first. Raises RoutingError."""
        return list(self._call("GET", f"/answers?after={number}").json()["answers"])

    def _call(self, method: str, path: str, body: Any = None) -> Answer:
        try:
            answer = ask(
                self.api.url + path,
                self.clock,
                method=method,
                headers={"authorization": f"Bearer {self.api.token}"},
                body=body,
                timeout_s=5.0,
            )
        except LookError as error:
            raise RoutingError(f"the router does not answer: {error}") from error
        if answer.status != 200:
            raise RoutingError(f"the router refuses: {answer.body.decode(errors='replace')[:200]}")
        return answer


class Follower:
    """Copies what the router saw into the record while a deploy goes on: one JSON line an answer, or one that says where some are lost."""

    def __init__(self, router: RouterClient, file: Path, clock: Clock) -> None:
        self._router = router
        self._file = file
        self._clock = clock
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._number = 0
        self._thread = threading.Thread(target=self._follow, name="answers", daemon=True)

    def start(self) -> None:
        """From the next answer on. Raises RoutingError."""
        self._number = int(self._router.state()["answered"])
        self._file.touch()
        self._thread.start()

    def catch_up(self) -> None:
        """Write down all that has passed by now. Raises RoutingError."""
        with self._lock, self._file.open("a", encoding="utf-8") as out:
            while answers := self._router.answers_after(self._number):
                if (first := int(answers[0]["number"])) != self._number + 1:
                    out.write(json.dumps({"lost": first - self._number - 1}) + "\n")
                out.writelines(json.dumps(answer) + "\n" for answer in answers)
                self._number = int(answers[-1]["number"])

    def stop(self) -> None:
        """Idempotent. What the router no longer tells is missing from the record, which the judgement notices."""
        if self._thread.is_alive():
            self._ended.set()
            self._thread.join(10.0)

    def _follow(self) -> None:
        while not self._ended.wait(FOLLOW_EVERY_S):
            try:
                self.catch_up()
            except RoutingError as error:
                with self._lock, self._file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps({"failed": str(error), "at_ns": self._clock.now_ns()}) + "\n")
