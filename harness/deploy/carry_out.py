"""The life of a deploy, top to bottom: a record, a lease, users, the strategy, and the way back."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from types import ModuleType

from harness.deploy import blue_green, canary, rolling
from harness.deploy.deployment import REFUSED, Deployment, InterruptedDeployError, StoppedError
from harness.deploy.evidence import DeployDirectory
from harness.deploy.load import Asking, asking
from harness.deploy.loading import LoadedPlan
from harness.deploy.plan import DeployPlan, Strategy
from harness.deploy.routing import Follower, RoutingError, Shiftable
from harness.deploy.site import Settings, Side, Site, SiteError
from harness.faults.base import Undo
from harness.faults.lease import Lease
from harness.lifecycle import host
from harness.lifecycle.signals import interruptible
from harness.record import store
from harness.record.clock import Clock, SystemClock, utc_now, wall_anchor
from harness.record.events import ENDED, Event
from harness.record.journal import Journal
from harness.score.check import Status

_LONGEST_S = 1200.0  # beyond what the plan says that its steps take: starts, proofs, and the way back
_BEAT_S = 1.0
_FIRST_S = 2.0  # of users served by the old version alone, before anything is done
_STRATEGIES: dict[Strategy, ModuleType] = {"blue_green": blue_green, "canary": canary, "rolling": rolling}


@dataclass(frozen=True, slots=True)
class Options:
    """How a deploy is carried out; what is asked is in its file. `actuator` stands in for the router, given that.

    `secrets` are variables by service that go to what is started, and into no record; `environment` is where it came from, for the record.
    """

    out: Path = Path("runs")
    argv: tuple[str, ...] = ()
    say: Callable[[str], None] = lambda _line: None
    stopped: Callable[[], bool] = lambda: False
    actuator: Callable[[Shiftable], Shiftable] | None = field(default=None, repr=False)
    secrets: Settings = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] | None = None


def deploy(loaded: LoadedPlan, strategy: Strategy, options: Options | None = None, clock: Clock | None = None) -> store.RunDirectory:
    """Carry it out, judge nothing: the record is what comes of it.

    On the site of that name, which goes on standing with whichever version serves. Where none stands it is started with the base version,
    and taken down in the end. Raises StackError or SiteError when that does not start, LeaseError without a watchdog.
    """
    options, clock = options or Options(), clock or SystemClock()
    plan = loaded.plan
    site = Site(plan.name, clock)
    directory = _open_record(loaded, strategy, options)
    with ExitStack() as cleanup, closing(Journal(directory.events)) as journal, interruptible() as interruption:
        if site.stands and plan.verify is not None and plan.verify.faults:
            raise SiteError(
                f"`verify.faults` break both versions, and {site.name} stands, with its users; drop them, or take the site down"
            )
        if not site.stands:
            cleanup.callback(site.close)
            open_site(site, plan, directory.logs, options.say, options.secrets)
        site.claim()
        cleanup.callback(site.disclaim)
        old = site.side(site.serving)
        if old is None:
            raise SiteError(
                f"{site.serving} of {site.name} must serve, and does not stand; take the site down: gauntlet deploy down {site.name}"
            )
        if old.version == plan.change.version and strategy != "rolling":
            raise SiteError(f"{site.name} serves {old.version} already: who answers could not be told; name another version")
        run_id = token_hex(6)
        work_dir = Path(tempfile.gettempdir()) / f"gauntlet-{run_id}"
        lease = Lease.take(run_id, work_dir, directory.path, clock)
        cleanup.callback(lease.release)
        one = Deployment(
            plan,
            site,
            DeployDirectory(directory.path),
            journal,
            clock,
            options.say,
            interruption,
            run_id,
            work_dir,
            old,
            stopped=options.stopped,
            secrets=options.secrets,
        )
        if options.actuator is not None:
            one.actuator = _Late(one, options.actuator)
        undo = Undo("command", {"argv": [sys.executable, "-m", "harness.deploy.settle", site.name]})
        lease.hold("deploy", [undo])
        with _beating(lease):
            _carry_out(one, _STRATEGIES[strategy], directory)
        lease.let_go("deploy")  # what is not settled by now was left on purpose, and says so
        journal.append(Event(clock.now_ns(), ENDED, "truth", {"complete": True, "ending": "completed", "events": journal.written}))
    return directory


def open_site(site: Site, plan: DeployPlan, logs: Path, say: Callable[[str], None], secrets: Settings | None = None) -> Side:
    """Start it with the base version, which serves. Raises StackError or SiteError; then nothing is left."""
    say(f"{site.name}: version {plan.base} starts, behind a router")
    try:
        site.open(plan.seed)
        side = site.start_side("blue", plan, changed=False, logs=logs / "blue", secrets=secrets)
        site.router().shift({"blue": 100.0})
    except BaseException:
        site.close()
        raise
    return side


class _Late:
    """Another actuator instead of the router, made when the sides are known."""

    def __init__(self, one: Deployment, make: Callable[[Shiftable], Shiftable]) -> None:
        self._one = one
        self._make = make

    def shift(self, weights: Mapping[str, float]) -> None:
        self._make(self._one.router).shift(weights)


def _carry_out(one: Deployment, strategy: ModuleType, directory: store.RunDirectory) -> None:
    """Users before, during and after; the strategy in between, and the way back where it is stopped."""
    plan = one.plan
    users = Asking(one.site.url, plan.users.rate, _longest_s(plan), dict(plan.users.mix), plan.users.timeout)
    follower = Follower(one.router, one.files.answers, one.clock)
    follower.start()
    try:
        with asking(users, one.old, directory, one.work_dir / "users", one.site.api_key, one.run_id, plan.seed, one.clock) as load:
            one.users, one.follower = load, follower
            one.step("users", rate=plan.users.rate)
            became, because, reason = _try(one, strategy)
            one.users = None  # nothing is waited for that hangs on them any more
            one.interruption.signal = None
            one.until_told(one.step("users_end"))
    finally:
        follower.stop()
        with suppress(RoutingError):  # what is missing then is missed by the judgement
            follower.catch_up()
    serving = one.site.side(one.site.serving)
    version = plan.change.version if one.committed else (serving.version if serving is not None else None)
    one.step("serving", side=one.site.serving, version=version if became != "unproved" else None)
    one.step("outcome", became=became, because=because.value, reason=reason)
    one.say(f"{became}: {reason}")


def _try(one: Deployment, strategy: ModuleType) -> tuple[str, Status, str]:
    """What became of it, and why."""
    try:
        one.wait(_FIRST_S)
        strategy.carry_out(one)
    except StoppedError as stopped:
        return _back(one, strategy, stopped.status, str(stopped))
    except InterruptedDeployError as interrupted:
        return _back(one, strategy, Status.INCONCLUSIVE, f"interrupted ({interrupted})")
    except REFUSED as error:
        return _back(one, strategy, Status.INCONCLUSIVE, f"a step could not be carried out: {error}")
    return "promoted", Status.PASS, f"{one.plan.change.version} serves; {one.old.version} was drained and has ended"


def _back(one: Deployment, strategy: ModuleType, because: Status, reason: str) -> tuple[str, Status, str]:
    if one.committed:  # too late: the old version may be gone already
        return "promoted", Status.INCONCLUSIVE, f"{one.plan.change.version} serves, but {reason}"
    one.say(f"stopped by {reason}")
    one.step("roll_back", reason=reason)
    one.interruption.signal = None  # the way back is gone in any case; a second signal ends it
    one.stopped = lambda: False
    try:
        (strategy if hasattr(strategy, "roll_back") else blue_green).roll_back(one)
    except StoppedError as unproved:
        return "unproved", Status.FAIL, f"stopped by {reason}; the rollback is not proved: {unproved}"
    except (*REFUSED, InterruptedDeployError) as error:
        return "unproved", Status.FAIL, f"stopped by {reason}; the rollback failed: {error}"
    return "rolled_back", because, f"stopped by {reason}; {one.old.version} serves"


def _longest_s(plan: DeployPlan) -> float:
    steps = [plan.bake, plan.drain, 2 * plan.proof.within, len(plan.canary.weights) * (plan.canary.hold + plan.users.timeout)]
    beside = [extra.length for extra in (plan.verify, plan.memory) if extra is not None]
    return _LONGEST_S + sum(steps) + sum(beside) + (plan.rolling.pause * 32 if plan.rolling is not None else 0.0)


@contextmanager
def _beating(lease: Lease) -> Iterator[None]:
    """Every wait of a deploy is bounded, so it does not hang while it waits for a stack to start: the watchdog is told."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT_S):
            lease.beat()

    thread = threading.Thread(target=beat, name="beating", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(5.0)


def _open_record(loaded: LoadedPlan, strategy: Strategy, options: Options) -> store.RunDirectory:
    revision = host.revision(Path.cwd())
    anchor = wall_anchor()
    directory = store.create(options.out, loaded.plan.name, utc_now(), revision.short)
    text = loaded.text.encode()
    DeployDirectory(directory.path).plan_file.write_bytes(text)
    store.write_run_file(
        directory,
        {
            "deploy": {"strategy": strategy, "name": loaded.plan.name, "version": loaded.plan.change.version},
            "deploy_file": loaded.path,
            "deploy_file_sha256": sha256(text).hexdigest(),
            "environment": dict(options.environment) if options.environment is not None else None,
            "argv": list(options.argv),
            "seed": loaded.plan.seed,
            "git": {"sha": revision.sha, "dirty": revision.dirty},
            "host": host.facts(),
            "clock": {"utc": anchor.utc, "t_ns": anchor.t_ns},
        },
    )
    return directory
