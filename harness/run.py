"""The life cycle of a run, top to bottom. The only module that knows all the others."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from secrets import token_hex
from typing import Any

from harness.faults import registry
from harness.faults.base import Context, FaultError
from harness.faults.fingerprint import Fingerprint, World, settled, take
from harness.faults.lease import Lease
from harness.faults.schedule import FaultSchedule
from harness.inbox.server import Inbox
from harness.lifecycle import host
from harness.lifecycle.attendant import Attend, Attendant, unattended
from harness.lifecycle.candidate import candidate_stack, split_block_s
from harness.lifecycle.oncall import OnCall, inbox_document, public_targets, targets_document
from harness.lifecycle.play import Parts, Player
from harness.lifecycle.probe_kinds import ask
from harness.lifecycle.probing import Prober
from harness.lifecycle.provider_journal import JournalCollector
from harness.lifecycle.questions import question_truth
from harness.lifecycle.reset import Resetter
from harness.lifecycle.sampler import Sampler
from harness.lifecycle.signals import Interruption, interruptible
from harness.lifecycle.starting import start
from harness.lifecycle.systems import build_stack, proxied_edges, touched_services, users_trust, users_url, volumes
from harness.lifecycle.timeline import plan
from harness.load import plan as load_plan
from harness.load.driver import LoadError, LoadProcess
from harness.ops.targets import targets_of
from harness.record import events as ev
from harness.record import store
from harness.record.clock import NS_PER_S, Clock, SystemClock, utc_now, wall_anchor
from harness.record.events import Event
from harness.record.journal import Journal
from harness.report.state import LiveState
from harness.scenario.loader import Loaded
from harness.scenario.model import Scenario
from harness.scenario.schema import digest, resolved
from harness.stack.base import Questioned, Stack, StackError

LOAD_READY_S = 30.0
RESET_WITHIN_S = 30.0
SETTLES_S = 10.0  # what differs after healing may be an instance that the operator restarts just now
SETTLES_EARLY_S = 2.0  # somebody waits
_BROKEN_OFF_BY = (StackError, LoadError, FaultError)
LEAD_S = 0.3  # from "everything is ready" to the first arrival


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is carried out; what is asked is in the scenario."""

    out: Path = Path("runs")
    seed: int | None = None
    argv: tuple[str, ...] = ()
    baseline: Mapping[str, Any] | None = None  # what the run is compared with (`record.baseline.pin`)
    observe: Callable[[LiveState], None] = field(default=lambda _state: None)
    attend: Attend = unattended  # who is asked before each injection


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has come to its end, one way or another; its verdict is another matter."""

    directory: store.RunDirectory
    interrupted: str | None  # name of the signal


def execute(loaded: Loaded, options: Options | None = None, clock: Clock | None = None) -> Finished:
    """Carry out one run: do everything, judge nothing.

    Raises StackError when the stack does not start; the record is kept, and nothing is left running. What goes wrong once the load has
    begun is in the record.
    """
    options, clock = options or Options(), clock or SystemClock()
    scenario = loaded.scenario if options.seed is None else loaded.scenario.model_copy(update={"seed": options.seed})
    directory = open_record(scenario, loaded, options)
    with interruptible() as interruption, closing(Journal(directory.events)) as journal:
        attendant = options.attend(directory, journal.append)
        run = _Run(scenario, options, directory, journal, clock, interruption, attendant)
        try:
            ending = run.carry_out()
        except _BROKEN_OFF_BY as error:
            if not run.begun:
                raise
            run.append(ev.STACK, state="failed", detail=str(error))  # there is a record of what came before: it is judged
            ending = "failed"
        if attendant is not None:
            attendant.leave()
        run.append(ev.ENDED, complete=True, ending=ending, events=journal.written, providers=directory.journalled())
    return Finished(directory, interruption.signal)


def open_record(scenario: Scenario, loaded: Loaded, options: Options) -> store.RunDirectory:
    """Make the run directory and write down everything that is needed to repeat the run."""
    revision = host.revision(Path.cwd())
    anchor = wall_anchor()
    directory = store.create(options.out, scenario.name, utc_now(), revision.short)
    text = loaded.text.encode()
    directory.scenario_file.write_bytes(text)
    store.write_run_file(
        directory,
        {
            "scenario": resolved(scenario),
            "scenario_sha256": digest(scenario),
            "scenario_file": loaded.path,
            "scenario_file_sha256": sha256(text).hexdigest(),
            "seed": scenario.seed,
            "argv": list(options.argv),
            "baseline": options.baseline,
            "git": {"sha": revision.sha, "dirty": revision.dirty, "scenario": host.in_repository(Path(loaded.path))},
            "host": host.facts(),
            "clock": {"utc": anchor.utc, "t_ns": anchor.t_ns},
        },
    )
    return directory


@dataclass(slots=True)
class _Run:
    scenario: Scenario
    options: Options
    directory: store.RunDirectory
    journal: Journal
    clock: Clock
    interruption: Interruption
    attendant: Attendant | None = None
    run_id: str = field(default_factory=lambda: token_hex(6))
    begun: bool = False  # the load was told to

    def append(self, kind: str, **data: Any) -> Event:
        """Record something that the harness did or saw."""
        return self.journal.append(Event(self.clock.now_ns(), kind, "truth", data))

    def carry_out(self) -> str:
        """Everything between the first and the last event. Whatever was started is ended in reverse order, whatever happens."""
        work_dir = Path(tempfile.gettempdir()) / f"gauntlet-{self.run_id}"
        with ExitStack() as cleanup:
            lease = Lease.take(self.run_id, work_dir, self.directory.path, self.clock)
            cleanup.callback(self.release, lease)
            stack = self.start_stack(work_dir, cleanup)
            candidate = None if stack is None else candidate_stack(self.scenario, self.run_id, work_dir / "candidate", self.directory.logs)
            if stack is None or (candidate is not None and not self.start_candidate(candidate, cleanup)):
                self.append(ev.INTERRUPTED, signal=self.interruption.signal)
                return "interrupted"
            load = self.start_load(stack, candidate, work_dir, cleanup)
            on_call, inbox = self.start_observers(stack, load, work_dir, cleanup)
            return self.play(stack, load, on_call, inbox, lease, work_dir, cleanup)

    def release(self, lease: Lease) -> None:
        """Let the watchdog make its last sweep: what it finds then was left behind by us, and fails the run."""
        if not lease.release():
            self.append(ev.WATCHDOG, state="failed", detail="the last sweep did not come to its end; see: gauntlet clean")

    def start_stack(self, work_dir: Path, cleanup: ExitStack) -> Stack | None:
        """The stack, ready; None when the run was interrupted before it was."""
        running = ", ".join(self.scenario.stack.by_url)
        self._show("starting", f"waiting for an answer of {running}" if running else "the stack starts")
        self.append(ev.STACK, state="starting")
        stack = build_stack(
            self.scenario.stack,
            run_id=self.run_id,
            work_dir=work_dir / "stack",  # its own: it sweeps and removes all that is in there
            logs_dir=self.directory.logs,
            seed=self.scenario.seed,
            proxied=proxied_edges(self.scenario),
            volumes=volumes(self.scenario),
        )
        cleanup.callback(self.stop_stack, stack)
        return stack if self.becomes_ready(stack, ev.STACK) else None

    def start_candidate(self, stack: Stack, cleanup: ExitStack) -> bool:
        """The second version, ready; False when the run was interrupted before it was."""
        self._show("starting", "the candidate starts")
        self.append(ev.CANDIDATE, state="starting")
        cleanup.callback(self.stop_candidate, stack)
        return self.becomes_ready(stack, ev.CANDIDATE)

    def becomes_ready(self, stack: Stack, kind: str) -> bool:
        """Start it, and record as events of that kind what came of it; False when the run was interrupted before it was ready."""
        try:
            started = start(stack, self.interruption, self.clock)
        except StackError as error:
            self.append(kind, state="failed", detail=str(error))
            raise
        if started:
            self.append(kind, state="ready", instances={s: [i.name for i in stack.instances(s)] for s in stack.info.services})
        return started

    def stop_candidate(self, stack: Stack) -> None:
        stack.stop()
        self.append(ev.CANDIDATE, state="stopped")

    def stop_stack(self, stack: Stack) -> None:
        self._show("stopping", "the stack stops")
        self.append(ev.STACK, state="stopping")
        stack.stop()
        self.append(ev.STACK, state="stopped")

    def start_load(self, stack: Stack, candidate: Stack | None, work_dir: Path, cleanup: ExitStack) -> LoadProcess:
        """Start the load process up to the point where it waits for the first instant."""
        self._show("starting", "the load generator starts")
        asked = stack if isinstance(stack, Questioned) else None
        if asked is not None:
            truth = question_truth(asked.corpus_path, asked.questions_path)
            self.directory.questions.write_text(json.dumps(truth), encoding="utf-8")
        files = load_plan.LoadFiles(
            self.directory.requests,
            self.directory.load_events,
            questions_file=asked.questions_path if asked is not None else None,
            corpus_file=asked.corpus_path if asked is not None else None,
            gaps_dir=self.directory.gaps,
        )
        planned = load_plan.build(
            self.scenario.load,
            files,
            run_id=self.run_id,
            duration_s=self.scenario.duration_s,
            seed=self.scenario.seed,
            base_url=users_url(stack),
            service_urls={i.service: i.url for s in stack.info.services for i in stack.instances(s)},
            preferred_model=asked.preferred_model if asked is not None else None,
            allowed_hosts=frozenset(self.scenario.stack.allow_hosts),
            candidate_url=users_url(candidate) if candidate is not None else None,
            block_s=split_block_s(self.scenario),
            trusted=users_trust(stack, candidate),
        )
        load = LoadProcess(planned, work_dir, stack.api_key, self.clock, candidate.api_key if candidate is not None else None)
        cleanup.callback(load.stop)
        load.start()
        load.wait_ready(LOAD_READY_S)
        return load

    def start_observers(self, stack: Stack, load: LoadProcess, work_dir: Path, cleanup: ExitStack) -> tuple[OnCall, Inbox]:
        """The harness's own sampler, the providers' journals, the inbox for claims and actions, and the operator."""
        seen = targets_document(stack, self.scenario, client_metrics=load.metrics_url, inbox={})
        self.directory.targets.write_text(json.dumps(public_targets(seen), indent=2), encoding="utf-8")
        asks_nothing = targets_of({**seen, "canaries": {}}, Path("targets"))  # questions of its own would be load of its own
        sampler = Sampler(stack, self.journal.append, self.directory.samples, self.clock, asks_nothing)
        cleanup.callback(sampler.stop)
        sampler.start()
        journals = JournalCollector(stack, self.directory.providers)
        cleanup.callback(journals.stop)
        journals.start()
        token = token_hex(16)
        inbox = Inbox(stack, self.journal.append, self.clock, token)
        cleanup.callback(inbox.stop)
        inbox.start()
        on_call = OnCall(work_dir / "oncall", self.directory.logs / "operator.log", self.run_id)
        cleanup.callback(self.stop_operator, on_call)
        if self.scenario.operator.enabled:
            on_call.start(self.scenario.operator.command, {**seen, **inbox_document(inbox.url, token)}, self.scenario.operator.rules)
            self.append(ev.OPERATOR, state="started", own=self.scenario.operator.command is None)
        return on_call, inbox

    def stop_operator(self, on_call: OnCall) -> None:
        if on_call.running:
            ended = on_call.poll()
            on_call.stop()
            if ended is None:
                self.append(ev.OPERATOR, state="stopped")

    def play(self, stack: Stack, load: LoadProcess, on_call: OnCall, inbox: Inbox, lease: Lease, work_dir: Path, cleanup: ExitStack) -> str:
        """Play the phases and the faults in them; then heal, and prove it."""
        t0_ns = self.clock.now_ns() + round(LEAD_S * NS_PER_S)
        phases = plan(self.scenario, t0_ns)
        allowed = frozenset(self.scenario.stack.allow_hosts)
        context = Context(stack, self.clock, Random(self.scenario.seed), allowed_hosts=allowed, run_id=self.run_id, webhook=inbox)
        schedule = FaultSchedule(
            self.scenario.faults,
            {p.name: (p.start_ns, p.end_ns) for p in phases},
            self.clock,
            self.journal.append,
            lambda use: registry.build(use, context),
            lease,
            permission=self.attendant,
        )
        cleanup.callback(schedule.heal_all, urgent=True)
        before = self.look_around(stack, on_call, lease, work_dir) if self.scenario.faults else None
        self.begun = True
        load.begin(t0_ns)
        self.append(ev.LOAD, state="begun", t0_ns=t0_ns)
        player = Player(self.scenario, self.directory, phases, self.journal, self.clock, self.options.observe)
        prober = Prober(self.scenario, lambda probe: ask(probe, stack, self.run_id), self.journal.append, self.clock).begin(phases)
        cleanup.callback(prober.stop)
        resetter = Resetter(stack, lambda data: self.append(ev.RESET, **data))
        ending = player.play(Parts(schedule, load, on_call, lease, resetter, self.interruption))
        self._show("healing", "faults are healed")
        schedule.heal_all(urgent=ending.early)
        if before is not None:
            within_s = SETTLES_EARLY_S if ending.early else SETTLES_S
            left = settled(before, lambda: self.look_around(stack, on_call, lease, work_dir), self.clock, within_s)
            self.append(ev.FINGERPRINT, left=left)
        prober.finish(early=ending.early)
        resetter.join(RESET_WITHIN_S, meanwhile=lease.beat)
        self._show("collecting", "the load generator finishes")
        if ending.early:
            load.stop()
        else:
            load.finish(self.scenario.load.timeout + 30.0)
        return ending.reason

    def look_around(self, stack: Stack, on_call: OnCall, lease: Lease, work_dir: Path) -> Fingerprint:
        """The world that faults may touch; what the operator started is its own. A look may take seconds: the watchdog is told."""
        lease.beat()
        spared = [pid for pid in (on_call.pid, lease.watchdog_pid) if pid is not None]
        return take(World(stack, self.run_id, work_dir, spared, touched_services(self.scenario, stack.info)))

    def _show(self, phase: str, note: str) -> None:
        self.options.observe(LiveState(scenario=self.scenario.name, phase=phase, note=note))
