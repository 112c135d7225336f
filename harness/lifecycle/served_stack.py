"""`python -m harness.lifecycle.served_stack SPEC`: a stack for whoever holds the other end of its standard input.

One JSON document a line, in and out. It says first `{"ready": …}` or `{"failed": reason}`, then answers

    {"do": "inject", "use": {…}}   {"effective": bool, "reason": why it did not bite, if that is known already}, or {"refused": why}
    {"do": "heal", "id": …}        {"effective": bool, "gone": bool, "reason": …}

End of file, or SIGTERM, heals and stops everything; where this process itself is killed, its watchdog does. `SPEC` is JSON: `scenario`, the
path of a file whose stack it is and whose faults it must be able to take, or none; `driver`, `seed`, `logs`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from secrets import token_hex
from typing import Any, TextIO

from pydantic import ValidationError

from harness.faults import registry
from harness.faults.base import Context, FaultError
from harness.faults.lease import Lease
from harness.faults.permission import NEVER, Times
from harness.faults.play import FaultPlay, State
from harness.faults.programmed.fault import ProgrammedFault
from harness.faults.schedule import POLL_S, VERIFY_WITHIN_S
from harness.lifecycle.checking import load_checked
from harness.lifecycle.systems import build_stack, proxied_edges, volumes
from harness.record.clock import NS_PER_S, Clock, SystemClock
from harness.scenario.model import FaultUse, StackSpec
from harness.scenario.problem import ScenarioError
from harness.stack.base import Stack, StackError
from harness.stack.reference import ReferenceStack

LAST_LOOK_S = 3.0
"""How long a fault that only requests of others can prove may still take, once its block is over."""
UNBOUNDED_S = 3600.0
HEAL_WITHIN_S = 60.0


@dataclass(slots=True)
class Injections:
    """The faults in force, played as a run plays them."""

    stack: Stack
    run_id: str
    lease: Lease
    clock: Clock
    random: Random
    _plays: dict[str, FaultPlay] = field(default_factory=dict)
    _told: dict[str, dict[str, str]] = field(default_factory=dict)  # by fault, by step: why

    def turn(self) -> None:
        """One turn of the loop: the watchdog is told, every fault takes what is due."""
        self.lease.beat()
        for play in self._plays.values():
            play.tick(self.clock.now_ns())

    def inject(self, use: FaultUse) -> dict[str, Any]:
        """Break it, and prove that it bites; what only requests of others prove is proved later. Raises FaultError."""
        context = Context(self.stack, self.clock, self.random, run_id=self.run_id)
        known = registry.build(use, context)
        by_others = isinstance(known.fault, ProgrammedFault)
        times = Times(self.clock.now_ns(), NEVER.heal_ns, UNBOUNDED_S if by_others else VERIFY_WITHIN_S)
        play = FaultPlay(use.id, known, lambda: times, self.clock, self._note, self.lease)
        self._plays[use.id] = play
        self._turn_until(lambda: play.state not in (State.WAITING, State.INJECTING), HEAL_WITHIN_S)
        if not by_others:
            self._turn_until(lambda: play.state is not State.PROVING, HEAL_WITHIN_S)
        return {"effective": play.effective_ns is not None, "reason": self._why(use.id, "failed", "not_effective")}

    def heal(self, fault_id: str) -> dict[str, Any]:
        """Take it back, and prove it gone."""
        play = self._plays[fault_id]
        self._turn_until(lambda: play.effective_ns is not None or play.state is not State.PROVING, LAST_LOOK_S)
        play.end_now(self.clock.now_ns())
        if not self._turn_until(lambda: play.done, HEAL_WITHIN_S):
            play.give_up()
        why = self._why(fault_id, "failed", "not_gone", "not_effective") or "nobody was hit while it was in force"
        return {"effective": play.effective_ns is not None, "gone": play.proved_gone, "reason": why}

    def heal_all(self) -> None:
        """Every fault that is still in force, the latest first."""
        for fault_id in [name for name, play in reversed(self._plays.items()) if not play.done]:
            self.heal(fault_id)

    def _turn_until(self, reached: Callable[[], bool], within_s: float) -> bool:
        deadline_ns = self.clock.now_ns() + round(within_s * NS_PER_S)
        while not reached():
            if self.clock.now_ns() > deadline_ns:
                return False
            self.turn()
            self.clock.sleep(POLL_S)
        return True

    def _note(self, data: Mapping[str, Any]) -> None:
        self._told.setdefault(str(data["id"]), {})[str(data["step"])] = str(data.get("reason", ""))

    def _why(self, fault_id: str, *steps: str) -> str:
        told = self._told.get(fault_id, {})
        return next((told[step] for step in steps if told.get(step)), "")


def answer(injections: Injections, asked: Mapping[str, Any]) -> dict[str, Any]:
    """To one line of the other side."""
    try:
        if asked["do"] == "heal":
            return injections.heal(str(asked["id"]))
        return injections.inject(FaultUse.model_validate(asked["use"]))
    except (FaultError, StackError, ValidationError, KeyError) as error:
        return {"refused": str(error)}


def serve(asked: Mapping[str, Any], out: TextIO) -> None:
    """Start, answer, and stop. Leased, so that nothing outlives this process."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which then let go of us
    clock, run_id = SystemClock(), token_hex(6)
    work_dir = Path(tempfile.gettempdir()) / f"gauntlet-{run_id}"
    lease = Lease.take(run_id, work_dir, None, clock)
    try:
        stack = _stack(asked, run_id, work_dir)
        injections = Injections(stack, run_id, lease, clock, Random(int(asked["seed"])))
        try:
            stack.start()
            _say(out, {"ready": _described(stack)})
            for document in _documents(injections.turn, ended):
                _say(out, answer(injections, document))
        finally:
            injections.heal_all()
            stack.stop()
    except (StackError, ScenarioError) as error:
        _say(out, {"failed": str(error)})
    finally:
        lease.release()


def _stack(asked: Mapping[str, Any], run_id: str, work_dir: Path) -> Stack:
    logs, driver = Path(asked["logs"]), asked.get("driver")
    if asked.get("scenario") is None:
        spec = StackSpec.model_validate({"driver": driver} if driver else {})
        return build_stack(spec, run_id=run_id, work_dir=work_dir / "stack", logs_dir=logs, seed=int(asked["seed"]))
    scenario = load_checked(Path(asked["scenario"]), driver)[0].scenario
    return build_stack(
        scenario.stack,
        run_id=run_id,
        work_dir=work_dir / "stack",
        logs_dir=logs,
        seed=int(asked["seed"]),
        proxied=proxied_edges(scenario),
        volumes=volumes(scenario),
    )


def _described(stack: Stack) -> dict[str, Any]:
    urls = {i.name: i.url for service in stack.info.services for i in stack.instances(service)}
    keys = {"limited_key": stack.limited_key, "signing_key": stack.signing_key} if isinstance(stack, ReferenceStack) else {}
    return {"entry_url": stack.entry_url, "api_key": stack.api_key, "urls": urls, "keys": keys}


def _documents(meanwhile: Callable[[], None], ended: threading.Event) -> Iterator[Mapping[str, Any]]:
    """What comes by standard input, until its end or a signal; `meanwhile` is called many times a second."""
    left = b""
    while not ended.is_set():
        meanwhile()
        readable, _, _ = select.select([0], [], [], POLL_S)
        if not readable:
            continue
        data = os.read(0, 1 << 16)
        if not data:
            return
        *lines, left = (left + data).split(b"\n")
        yield from (json.loads(line) for line in lines if line)


def _say(out: TextIO, document: Mapping[str, Any]) -> None:
    """Where nobody listens any more there is nobody to tell; the end of standard input says so too."""
    try:
        out.write(json.dumps(document) + "\n")
        out.flush()
    except BrokenPipeError:
        return


if __name__ == "__main__":
    _answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever is printed meanwhile is no answer
    serve(json.loads(sys.argv[1]), _answers)
