"""One deploy while it goes on: what every strategy is made of. Each step is an event, and what it is judged by is in the record."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.deploy import gates
from harness.deploy.comparing import broken_alike
from harness.deploy.evidence import DeployDirectory, Evidence
from harness.deploy.load import Asking, asking, beside_record
from harness.deploy.looking import MemorySampler, put_questions
from harness.deploy.plan import DeployPlan
from harness.deploy.routing import Follower, RouterClient, RoutingError, Shiftable
from harness.deploy.side_api import SideClient, SideError
from harness.deploy.site import OTHER, Settings, Side, Site, SiteError
from harness.lifecycle.signals import Interruption
from harness.load.driver import LoadError, LoadProcess
from harness.record import store
from harness.record.clock import NS_PER_S, Clock
from harness.record.events import DEPLOY, Event
from harness.record.journal import Journal
from harness.score.check import Result, Status, merge, severity
from harness.stack.base import StackError
from harness.stack.topology import topology

_POLL_S = 0.1
_PROVED_EVERY_S = 1.0
_TOLD_EVERY_S = 0.5
_WRITTEN_S = 1.5  # rows are written in batches
REFUSED = (StackError, SiteError, SideError, RoutingError, LoadError)
"""What goes wrong with a step, rather than with us."""


class StoppedError(Exception):
    """A gate holds the deploy up."""

    def __init__(self, name: str, status: Status, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.status = status


class InterruptedDeployError(Exception):
    """Somebody wants it to end."""


@dataclass
class Deployment:
    """Strategies call these in their order. A gate that does not pass raises StoppedError."""

    plan: DeployPlan
    site: Site
    files: DeployDirectory
    journal: Journal
    clock: Clock
    say: Callable[[str], None]
    interruption: Interruption
    run_id: str
    work_dir: Path
    old: Side
    actuator: Shiftable | None = None  # None: the site's router
    users: LoadProcess | None = None
    follower: Follower | None = None
    shifted: bool = False  # whether the new version was given any traffic
    committed: bool = False
    before: Mapping[str, str] = field(default_factory=dict)  # of a rolling deploy: versions by instance
    stopped: Callable[[], bool] = lambda: False
    secrets: Settings = field(default_factory=dict, repr=False)
    _new: Side | None = field(default=None, init=False)

    @property
    def new_name(self) -> str:
        return OTHER[self.old.name]

    @property
    def new(self) -> Side:
        assert self._new is not None, "not started"
        return self._new

    @property
    def router(self) -> RouterClient:
        return self.site.router()

    def step(self, name: str, **data: Any) -> int:
        """Note something that is done; returns when."""
        event = self.journal.append(Event(self.clock.now_ns(), DEPLOY, "truth", {"step": name, **data}))
        return event.t_ns

    # --- gates

    def gate(self, kind: str, name: str, **about: Any) -> list[Result]:
        """Judge one from the record so far, and write down what it said. Raises StoppedError."""
        results = self._judge(kind, name, about)
        worst = max(results, key=lambda r: severity(r.status))
        self.say(f"  {worst.status.value:<12} {name}: {worst.reason}")
        if worst.status in (Status.FAIL, Status.INCONCLUSIVE):
            raise StoppedError(worst.name, worst.status, worst.reason)
        return results

    def fact(self, name: str, status: Status, reason: str) -> None:
        """A gate of which what was just seen is the evidence. Raises StoppedError."""
        self.gate("fact", f"deploy.{name}", fact=status.value, reason=reason)

    def _judge(self, kind: str, name: str, about: Mapping[str, Any]) -> list[Result]:
        gate = {"gate": kind, "name": name, **about}
        if self.follower is not None:
            self.follower.catch_up()
        results = Evidence(self.files.path, self.plan, live=True).judge(gate)
        status = merge(r.status for r in results)
        told = next(r.reason for r in results if r.status is status)
        self.journal.append(Event(self.clock.now_ns(), DEPLOY, "truth", {"reason": told, **gate, "status": status.value}))
        return results

    # --- steps

    def start_new(self) -> None:
        """The new version beside the old one, every instance ready and of that version."""
        self.say(f"{self.new_name}: version {self.plan.change.version} starts beside {self.old.version}")
        self.step("start_new", side=self.new_name, version=self.plan.change.version)
        try:
            logs = self.files.path / "logs" / self.new_name
            self._new = self.site.start_side(
                self.new_name, self.plan, changed=True, logs=logs, secrets=self.secrets, stopped=lambda: self._unwanted
            )
        except StackError as error:
            self.wait(0.0)
            told = _in_short(str(error).removeprefix(f"{self.new_name} did not start:"))
            self.fact("started", Status.FAIL, f"version {self.plan.change.version} does not start: {told}")
        wrong = self._not_as_asked()
        told = f"not every instance is ready and {self.plan.change.version}: {'; '.join(wrong)}"
        self.fact("started", Status.FAIL if wrong else Status.PASS, told if wrong else f"every instance of {self.new.version} is ready")

    def _not_as_asked(self) -> list[str]:
        side = SideClient(self.new.api, self.clock)
        found = []
        for service, described in topology(self.plan.stack.vector_store).services.items():
            if described.kind != "http":
                continue
            for seen in side.instances(service):
                if seen.reason is not None:
                    found.append(f"{seen.name} is not ready: {seen.reason}")
                elif seen.version != self.plan.change.version:
                    found.append(f"{seen.name} says that it is {seen.version}")
        return found

    def smoke(self) -> None:
        """Questions with known answers, to the new version alone."""
        wanted = self.plan.smoke
        if wanted is None:
            return
        self.step("smoke")
        asked = put_questions(self.new.entry_url, self.site.api_key, self.new.questions, wanted.questions, self.plan.seed, self.clock)
        self.files.smoke.write_text(json.dumps(asked, indent=1), encoding="utf-8")
        self.gate("smoke", "deploy.smoke", version=self.plan.change.version)

    def verify(self) -> None:
        """Both versions under the same load, side by side: the new one is asked as much as users ask the old one meanwhile, too."""
        wanted = self.plan.verify
        if wanted is None:
            return
        self.say(f"both versions under the same load for {wanted.length:g}s")
        start_ns = self.step("verify")
        mix = dict(self.plan.users.mix)
        both = Asking(self.old.entry_url, wanted.rate, wanted.length, mix, self.plan.users.timeout, beside=self.new.entry_url)
        clients = {side.name: SideClient(side.api, self.clock) for side in (self.old, self.new)}
        within_s = wanted.length + self.plan.users.timeout + 10.0
        alike = Asking(self.new.entry_url, self.plan.users.rate, 2 * within_s, mix, self.plan.users.timeout)
        with (
            self._asking(alike, beside_record(self.files.alike), "alike") as as_users,
            self._asking(both, beside_record(self.files.verify), "verify") as load,
            broken_alike(self, wanted, clients),
        ):
            self._until_ended(load, within_s)
            code = as_users.poll()
        if code is not None:
            self.fact("verify.load", Status.INCONCLUSIVE, f"what was to load the new version like users the old one ended with {code}")
        self.gate("verify", "deploy.verify", start_ns=start_ns, end_ns=self.clock.now_ns())

    def memory(self) -> None:
        """What a request leaves resident in the new version."""
        wanted = self.plan.memory
        if wanted is None:
            return
        self.say(f"memory of the new version under load for {wanted.length:g}s")
        self.step("memory")
        side = SideClient(self.new.api, self.clock)
        services = [name for name, s in topology(self.plan.stack.vector_store).services.items() if s.kind == "http" and s.critical]
        sampler = MemorySampler([i for service in services for i in side.instances(service)], self.files.memory, self.clock)
        alone = Asking(self.new.entry_url, wanted.rate, wanted.length, dict(self.plan.users.mix), self.plan.users.timeout)
        with self._asking(alone, beside_record(store.RunDirectory(self.files.path / "memory")), "memory") as load:
            sampler.start()
            try:
                self.wait(wanted.length)
            finally:
                sampler.stop()
            self._until_ended(load, self.plan.users.timeout + 10.0)
        self.gate("memory", "deploy.memory")

    def shift(self, weights: Mapping[str, float], name: str) -> int:
        """Share out the traffic anew, in one step; returns when that was done."""
        self.say(f"traffic: {', '.join(f'{side} {weight:g}%' for side, weight in weights.items())}")
        self.step(f"shift.{name}", weights=dict(weights))
        self.shifted = True
        (self.actuator or self.router).shift(weights)
        return self.step(f"shifted.{name}", weights=dict(weights))

    def prove_served(self, name: str, version: str, after_ns: int) -> None:
        """Wait until enough answers say that this version gives them; another one's answer ends it at once."""
        deadline_ns = self.clock.now_ns() + round(self.plan.proof.within * NS_PER_S)
        about = {"version": version, "after_ns": after_ns}
        while True:
            assert self.follower is not None
            self.follower.catch_up()
            now_ns = self.clock.now_ns()
            gate = {"gate": "served", "name": name, "until_ns": now_ns, **about}
            (result,) = Evidence(self.files.path, self.plan, live=True).judge(gate)
            if result.status is not Status.INCONCLUSIVE or now_ns > deadline_ns:
                self.gate("served", name, until_ns=now_ns, **about)
                return
            self.wait(_PROVED_EVERY_S)

    def bake(self, name: str, length_s: float) -> tuple[int, int]:
        """Watch users for so long, and then judge what those saw whose requests have had their time; returns the span."""
        self.say(f"users are watched for {length_s:g}s")
        start_ns = self.step(f"bake.{name}")
        self.wait(length_s)
        end_ns = self.clock.now_ns()
        self.until_told(end_ns)
        self.gate("objectives", f"deploy.{name}", start_ns=start_ns, end_ns=end_ns)
        return start_ns, end_ns

    def drain(self) -> None:
        """Wait until the old version has answered all that it was asked. Raises StoppedError where it does not in time."""
        left = self.drained(self.old.name)
        told = (
            f"{left} requests are still with {self.old.version} after {self.plan.drain:g}s"
            if left
            else f"{self.old.version} has answered all"
        )
        self.fact("drained", Status.FAIL if left else Status.PASS, told)

    def drained(self, side: str) -> int:
        """Wait for what a side still has to answer, at most for `drain`; returns how many requests that is then."""
        self.step("drain", side=side)
        deadline_ns = self.clock.now_ns() + round(self.plan.drain * NS_PER_S)
        while (left := self.router.in_flight(side)) and self.clock.now_ns() < deadline_ns:
            self.wait(_POLL_S)
        self.step("drained", side=side, left=left)
        return left

    def commit(self) -> None:
        """From here on the new version stays, whatever becomes of us; the old one ends."""
        self.site.commit(self.new_name)
        self.committed = True
        self.step("committed", side=self.new_name)
        self.site.end_side(self.old.name)
        self.step("old_ended", side=self.old.name)

    # --- waiting

    def until_told(self, end_ns: int) -> None:
        """Wait until every request that was due before then has its row, at most for its time limit: the slow ones matter most."""
        deadline_ns = end_ns + round((self.plan.users.timeout + _WRITTEN_S) * NS_PER_S)
        self.wait(_WRITTEN_S)  # whoever was due last may not have begun
        while self.clock.now_ns() < deadline_ns:
            if gates.untold(store.read(self.files.path, live=True), end_ns, self.plan.users.rate) == 0:
                return
            self.wait(_TOLD_EVERY_S)

    def wait(self, length_s: float) -> None:
        """Raises InterruptedDeployError, or StoppedError where the users are gone; at once, also for 0."""
        deadline_ns = self.clock.now_ns() + round(length_s * NS_PER_S)
        while True:
            left_ns = deadline_ns - self.clock.now_ns()
            if self._unwanted:
                raise InterruptedDeployError(self.interruption.signal or "stopped")
            if self.users is not None and (code := self.users.poll()) is not None:
                raise StoppedError("deploy.users", Status.INCONCLUSIVE, f"the load process ended with {code}: nobody was served any more")
            if left_ns <= 0:
                return
            self.clock.sleep(min(_POLL_S, left_ns / NS_PER_S))

    @property
    def _unwanted(self) -> bool:
        return self.interruption.signal is not None or self.stopped()

    def _until_ended(self, load: LoadProcess, within_s: float) -> None:
        deadline_ns = self.clock.now_ns() + round(within_s * NS_PER_S)
        while load.poll() is None and self.clock.now_ns() < deadline_ns:
            self.wait(_POLL_S)

    def _asking(self, asked: Asking, directory: store.RunDirectory, name: str) -> Any:
        return asking(asked, self.new, directory, self.work_dir / name, self.site.api_key, self.run_id, self.plan.seed, self.clock)


def _in_short(text: str) -> str:
    """What went wrong, without the tail of the log, of which the last line is kept."""
    head, marked, log = text.partition("--- end of its log ---")
    lines = [line.strip() for line in head.splitlines() if line.strip()]
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")
    return " ".join(lines[:2]) + (f" ({last[:200]})" if marked and last else "")
