"""Pydantic models of the scenario file: one parse at the edge, then plain typed values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from harness.scenario import units
from harness.scenario.burn import BurnRate
from harness.scenario.comparison import Comparison
from harness.scenario.fields import Duration as Duration  # part of this module's own names
from harness.scenario.fields import Instances, LimitText, Model, PositiveDuration, Weight
from harness.scenario.fields import Rate as Rate
from harness.scenario.indicator import Indicator, indicator
from harness.scenario.objective import Objective
from harness.scenario.policy import AbortRule as AbortRule
from harness.scenario.policy import Gate as Gate
from harness.scenario.probes import Probe
from harness.scenario.reliability import Reliability
from harness.scenario.segments import Segment as Segment
from harness.scenario.services import Actuator as Actuator
from harness.scenario.slis import PHASES, SliName
from harness.scenario.system import Driver as Driver
from harness.scenario.system import StackSpec as StackSpec
from harness.scenario.system import VectorStoreName as VectorStoreName

Kind = Literal[
    "latency", "errors", "rate_limit", "crash", "hang", "cpu", "memory", "disk", "descriptors", "pool", "network", "dns", "config",
    "version", "data", "quality", "clock", "credentials", "observability",
    "load",
]  # fmt: skip
KINDS: tuple[str, ...] = (*get_args(Kind), "none")
Outcome = Literal["absorbed", "recovered", "self_healed", "healed_by_harness", "not_recovered"]
VERBS = ("restart", "scale", "failover", "rollback", "clear_cache", "shed_load", "switch_provider", "reset_pool", "reindex")


def _spelled(text: str) -> str:
    """The key of an objective in its one spelling, so that two spellings of one key do not hide each other."""
    if (canonical := indicator(text).text) != text:
        raise ValueError(f"{text!r} has one spelling; write {canonical!r}")
    return text


IndicatorText = Annotated[str, AfterValidator(_spelled)]
PhaseName = Literal["warmup", "steady_state", "fault", "recovery", "cooldown"]


class Journey(Model):
    """A plain HTTP journey for any service. Exactly one of `get`, `post`."""

    get: str | None = None
    post: str | None = None
    body: Any = Field(default=None, alias="json")
    headers: dict[str, str] = Field(default_factory=dict)
    service: str = "gateway"
    tenant: str | None = Field(default=None, pattern=r"^\S+$", description="whose requests these are, for objectives `of tenant …`")
    expect_status: list[int] = Field(default_factory=lambda: [200], min_length=1)

    @model_validator(mode="after")
    def _one_method(self) -> Self:
        if (self.get is None) == (self.post is None):
            raise ValueError("a journey has exactly one of get, post: the path to ask for")
        return self


Engine = Literal["locust", "asyncio"]
Workers = Annotated[int, Field(ge=1, le=64)]


class Closed(Model):
    """So many users, each of whom asks, waits for the answer, thinks, and asks again: what a slow service is asked depends on it."""

    users: Annotated[int, Field(ge=1, le=100_000)]
    think_time: Duration = Field(default=1.0, description="mean; drawn between half of it and one and a half of it")


class LoadSpec(Model):
    """What is sent. `shape` is the open model: arrivals follow it whatever the responses do. `closed` is the other one; a `locustfile`
    is run as it is."""

    shape: list[Segment] = Field(default_factory=list)
    closed: Closed | None = None
    locustfile: str | None = Field(default=None, description="path of a locustfile of your own, from the working directory; closed as well")
    mix: dict[str, Weight] = Field(min_length=1, default_factory=lambda: {"ask": 6.0, "ask_stream": 3.0, "ingest": 1.0})
    journeys: dict[str, Journey] = Field(default_factory=dict)
    timeout: PositiveDuration = Field(default=30.0, description="of one request; it then counts as `timeout` with its full duration")
    max_in_flight: Annotated[int, Field(ge=1, le=10_000)] = 400
    engine: Engine = Field(default="locust", description="what sends: Locust, or an asyncio loop for rates beyond what Locust can send")
    workers: Workers = Field(default=1, description="processes that share the load")
    remote_workers: Annotated[int, Field(ge=0, le=64)] = Field(
        default=0, description="of the workers: those that `gauntlet load worker` starts on other hosts"
    )
    listen: Annotated[str, Field(pattern=r"^\S+:\d{1,5}$")] | None = Field(
        default=None, description="host:port where remote workers find their master; they must show the same GAUNTLET_WORKER_TOKEN"
    )

    @property
    def model(self) -> Literal["open", "closed"]:
        """Do arrivals wait for answers?"""
        return "open" if self.shape else "closed"

    @property
    def predictable(self) -> bool:
        """Can it be told from the scenario alone how many arrivals there are?"""
        return bool(self.shape) and all(segment.trace is None for segment in self.shape)

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if not self.shape and self.closed is None and self.locustfile is None:
            raise ValueError("nothing says how much is sent; write shape: [{constant: 10/s}], or closed: {users: 10}, or a locustfile")
        if self.shape and (self.closed is not None or self.locustfile is not None):
            other = "closed" if self.closed is not None else "locustfile"
            raise ValueError(f"`shape` and `{other}` are two models of load; drop one of them")
        if self.engine == "asyncio" and self.locustfile is not None:
            raise ValueError("a locustfile needs Locust; drop `engine: asyncio`")
        if self.closed is not None and self.closed.users < self.workers:
            users = f"{self.closed.users} user" + "s" * (self.closed.users > 1)
            raise ValueError(f"{self.workers} workers cannot share {users}; write `workers: {self.closed.users}` or less, or more users")
        if self.remote_workers > (self.workers if self.workers > 1 else 0):
            raise ValueError(f"{self.remote_workers} remote workers of {self.workers}; write `workers: {self.remote_workers + 1}` or more")
        if bool(self.remote_workers) != (self.listen is not None):
            raise ValueError("remote workers and the place where they find their master go together; write `remote_workers` and `listen`")
        return self


class FaultUse(Model):
    """One fault of the schedule."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    type: str
    target: str = Field(description="service, `service-2` (an instance), an edge `caller->callee`, or a node of a swarm")
    at: str = Field(default="fault", description="phase, or phase+duration")
    after: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9-]*(\s*\+.+)?$",
        description="id of another fault, or id+duration: it begins once that one has shown its effect, in the phase that `at` names",
    )
    for_s: PositiveDuration | None = Field(default=None, alias="for", description="default: to the end of the phase")
    instances: Instances = Field(
        default="one", description="of a service that is the target: one, all, a number (2) or a share (50%); drawn with the seed"
    )
    with_: dict[str, Any] = Field(default_factory=dict, alias="with")

    @property
    def phase(self) -> str:
        """The phase named by `at`."""
        return self.at.partition("+")[0].strip()

    @property
    def offset_s(self) -> float:
        """The duration after the phase's start named by `at`."""
        offset = self.at.partition("+")[2]
        return units.duration_s(offset.strip()) if offset else 0.0

    @property
    def after_id(self) -> str | None:
        """The fault named by `after`."""
        return None if self.after is None else self.after.partition("+")[0].strip()

    @property
    def after_s(self) -> float:
        """The duration after that one's effect named by `after`."""
        delay = (self.after or "").partition("+")[2]
        return units.duration_s(delay.strip()) if delay else 0.0

    @model_validator(mode="after")
    def _it_has_its_time(self) -> Self:
        if self.phase not in PHASES:
            raise ValueError(f"at: {self.at!r} names no phase; write one of {', '.join(PHASES)}, or 'fault+5s'")
        _ = self.offset_s, self.after_s
        if self.after is not None and self.offset_s:
            raise ValueError(f"it begins after {self.after_id}: write `at: {self.phase}`, and the delay in `after`")
        return self


class RootCause(Model):
    """The diagnosis that counts as right. `edge` is written `caller->callee`; `host`: any service that ran on that node."""

    service: str | None = None
    edge: str | None = None
    host: str | None = None
    kind: Kind
    within: LimitText | None = Field(default=None, description="onset to the first diagnosis that puts it first")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if [self.service, self.edge, self.host].count(None) != 2:
            raise ValueError("a root cause names exactly one of service, edge, host")
        return self


CallerFinding = Literal[
    "retry_after_ignored", "retried_non_retryable", "retry_storm", "truncated_stream_accepted", "no_backoff", "gave_up", "no_read_timeout",
    "malformed_chunk_ignored", "retry_amplification",
]  # fmt: skip


class Callers(Model):
    """How the stack should treat a mock provider that fails, by the provider's own journal. Every finding breaks it that is not allowed."""

    allow: list[CallerFinding] = Field(default_factory=list, description="findings that are accepted")
    amplification: LimitText | None = Field(default=None, description="mean attempts per call that met trouble; default: at most 4")
    read_timeout: PositiveDuration = Field(default=30.0, description="the longest wait on a provider that is silent")


class Expect(Model):
    """What the operator and the outcome should be: for one fault, or (without `fault`) for the whole run."""

    fault: str | None = None
    alert: LimitText | None = Field(default=None, description="onset to receipt of the first matching alert")
    alerts: dict[str, LimitText] | None = Field(
        default=None, min_length=1, description="onset to receipt of the first alert of each of these names"
    )
    root_cause: RootCause | Literal["none"] | None = None
    outcome: Outcome | list[Outcome] | None = None
    within: LimitText | None = Field(default=None, description="onset to the start of the regained stretch")
    escalated: bool | None = None
    action: str | list[str] | None = Field(
        default=None, description="verb (or one of these verbs) that the operator should use; `none` for no action"
    )
    false_alarms: LimitText | None = None
    needless_actions: LimitText | None = None
    wrong_actions: LimitText | None = None
    harmful_actions: LimitText | None = None
    callers: Callers | None = Field(default=None, description="how the stack treats its mock providers; `{}` for no finding at all")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        per_fault = {"alert", "alerts", "root_cause", "outcome", "within", "escalated", "action"}
        run_wide = {"false_alarms", "needless_actions", "wrong_actions", "harmful_actions", "callers"}
        given = {n for n in per_fault | run_wide if getattr(self, n) is not None}
        wrong = given & (run_wide if self.fault else per_fault)
        if wrong:
            where = "of a fault: drop `fault`" if self.fault else "run-wide: add `fault: <id>`"
            raise ValueError(f"{', '.join(sorted(wrong))} cannot be expected {where}")
        if not given:
            raise ValueError("this entry expects nothing; name at least one of " + ", ".join(sorted(per_fault if self.fault else run_wide)))
        return self


class OperatorSpec(Model):
    """Which operator is on call."""

    command: list[str] | None = Field(
        default=None, description="argv of another operator; `{targets}` is replaced by the path of targets.yaml"
    )
    enabled: bool = True
    rules: list[str] = Field(
        default_factory=list,
        description="Prometheus rule files, from where gauntlet is started; the operator tells their alerts, and none of its own",
    )

    @model_validator(mode="after")
    def _own(self) -> Self:
        if self.rules and (self.command is not None or not self.enabled):
            raise ValueError("rules are read by the operator that comes along: drop `command` and `enabled: false`, or `rules`")
        return self


class Scenario(Model):
    """A declared experiment."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)
    hypothesis: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    stack: StackSpec = Field(default_factory=StackSpec)
    load: LoadSpec
    phases: dict[PhaseName, PositiveDuration] = Field(min_length=1)
    faults: list[FaultUse] = Field(default_factory=list)
    expect: list[Expect] = Field(default_factory=list)
    objectives: dict[PhaseName, dict[IndicatorText, Objective]] = Field(default_factory=dict)
    burn_rates: list[BurnRate] = Field(default_factory=list)
    probes: list[Probe] = Field(default_factory=list)
    reliability: Reliability | None = None
    abort: list[AbortRule] = Field(default_factory=list)
    gate: Gate | None = None
    compare: Comparison | None = Field(default=None, description="how versions are compared, and the one to serve beside the base")
    operator: OperatorSpec = Field(default_factory=OperatorSpec)
    time_scale: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=1.0, description="compresses alerting windows; printed in every report"
    )

    @property
    def duration_s(self) -> float:
        """Length of all phases."""
        return sum(self.phases.values())

    def asked(self, phase: str) -> Iterator[tuple[Indicator, Objective]]:
        """The objectives of a phase, in the order of the file."""
        for text, objective in self.objectives.get(phase, {}).items():  # type: ignore[call-overload]  # a phase without objectives gives {}
            yield indicator(text), objective

    def limits(self, phase: str) -> Iterator[tuple[SliName, units.Limit]]:
        """The absolute limits of the phase as a whole, over all requests, that must be kept for it to pass."""
        for of, objective in self.asked(phase):
            if of.scope is None and of.window_s is None:
                yield from ((of.sli, one) for one in objective.pass_.bounds)

    @property
    def baseline_phases(self) -> tuple[str, ...]:
        """The phases with an objective that is relative to another run."""
        return tuple(phase for phase, asked in self.objectives.items() if any(one.of_baseline for one in asked.values()))

    def phase_start_s(self, name: str) -> float:
        """Seconds from the start of the first phase."""
        start = 0.0
        for phase in PHASES:
            if phase == name:
                return start
            start += self.phases.get(phase, 0.0)  # type: ignore[call-overload]  # `phase` runs over the literal's own values
        raise KeyError(name)
