"""Bad releases: a new build of one instance that does not start, cannot be configured, is slower, or answers wrongly."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from statistics import median
from typing import Generic, TypeVar

from pydantic import Field

from harness.faults.base import Context, Evidence, FaultError, Target, TargetedFault, act, capability, instance_of
from harness.faults.deploy import reported_version
from harness.faults.http_look import LookError, ask
from harness.faults.process import pick_instance
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration
from harness.stack.base import Environed, Instance, Restartable, StackError

ROUNDS = 3
CLEARLY = 0.8  # of the latency asked for, at least, must show
HARDLY = 0.3  # of it, at most, may show when it is gone
ROLLED_BACK_BY = ("rollback",)
"""A restart brings the same bad build up again; only another one helps."""


class ReleaseParameters(FaultParameters):
    """Of every bad release."""

    version: str = Field(
        default="1.1.0", description="what the new build calls itself", pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$",
        json_schema_extra={"unit": "text"},
    )  # fmt: skip


Release = TypeVar("Release", bound=ReleaseParameters)


class BadRelease(TargetedFault[Release], Generic[Release]):
    """One instance is replaced by a build that is bad in some way; healed, the build before is back. A rollback heals it, too."""

    def __init__(self, target: Target, parameters: Release, context: Context) -> None:
        super().__init__(pick_instance(target, context), parameters, context)
        assert self.target.instance is not None, "just picked"
        self.name: str = self.target.instance

    @abstractmethod
    def defect(self) -> Mapping[str, str]:
        """What the build is told in its environment beside its version."""

    def inject(self) -> None:
        """Returns when the new build serves, or has failed to."""
        if self._released:
            return
        instance = self.instance()
        if instance.version == self.parameters.version:
            raise FaultError(f"{self.name} already runs {instance.version}; name another version")
        self._set({"VERSION": self.parameters.version, **self.defect()})
        try:
            self._restart()
        except StackError as error:
            if not self.keeps_it_down:
                raise FaultError(f"{self.name} does not come up with version {self.parameters.version}: {error}") from error
        self._released = True

    _released = False
    keeps_it_down = False
    """Whether the build is not expected to become ready."""

    def heal(self) -> None:
        """The declared build again, unless somebody has rolled back already. Raises FaultError."""
        self._set({})
        self._released = False
        if self.context.stack.probe(self.instance()) is not None or reported_version(self.instance()) == self.parameters.version:
            act(f"rolling {self.name} back", self._restart)

    def ready_as_declared(self) -> Evidence | None:
        """Evidence that an instance of another version than the bad one serves."""
        instance = self.instance()
        version = reported_version(instance)
        if self.context.stack.probe(instance) is not None or version in (None, self.parameters.version):
            return None
        return {"instance": self.name, "version": version}

    def gone(self) -> Evidence | None:
        return self.ready_as_declared()

    def instance(self) -> Instance:
        """As the stack describes it now. Raises FaultError."""
        return instance_of(self.context.stack, self.name, self.target.service)

    def _set(self, variables: Mapping[str, str]) -> None:
        act(f"configuring {self.name}", lambda: capability(self.context.stack, Environed).set_environment(self.name, variables))

    def _restart(self) -> None:
        capability(self.context.stack, Restartable).restart(self.name)


class CrashingVersion(BadRelease[ReleaseParameters]):
    """The build does not start at all."""

    spec = FaultSpec(
        name="deploy.crashing_version",
        summary="Releases a build of one instance that crashes at its start, as with a bad image; a restart only crashes it again.",
        kind="version",
        parameters=ReleaseParameters,
        targets=("service", "instance"),
        needs=("Environed", "Restartable"),
        evidence="the instance has no process and its probe fails; gone: it is ready, with a version that is not the bad one",
        example="{id: bad-image, type: deploy.crashing_version, target: retrieval-1, at: fault, for: 30s, with: {version: 1.1.0}}",
        recoverable_by=(*ROLLED_BACK_BY, "failover", "scale"),
        only_roles=("http",),
    )
    keeps_it_down = True

    def defect(self) -> Mapping[str, str]:
        return {"BUILD_CRASHES": "1"}

    def verify(self) -> Evidence | None:
        instance = self.instance()
        reason = self.context.stack.probe(instance)
        return None if reason is None or instance.pid is not None else {"instance": self.name, "probe": reason}


class BadConfigParameters(ReleaseParameters):
    """Parameters of `deploy.bad_configuration`."""

    variable: str = Field(description="setting that is wrong", pattern=r"^[A-Z][A-Z0-9_]*$", json_schema_extra={"unit": "text"})
    value: str = Field(description="what it is set to", json_schema_extra={"unit": "text"})


class BadConfiguration(BadRelease[BadConfigParameters]):
    """The build is good; what it was told is not."""

    spec = FaultSpec(
        name="deploy.bad_configuration",
        summary="Releases one instance with a wrong setting, with which it does not become ready.",
        kind="config",
        parameters=BadConfigParameters,
        targets=("service", "instance"),
        needs=("Environed", "Restartable"),
        evidence="the instance's readiness probe fails, with its reason; gone: it is ready, with a version that is not the bad one",
        example="{id: wrong-db, type: deploy.bad_configuration, target: retrieval-1, at: fault, for: 30s, "
        "with: {variable: DATABASE_URL, value: 'postgresql://127.0.0.1:1/none'}}",
        recoverable_by=(*ROLLED_BACK_BY, "failover", "scale"),
        only_roles=("http",),
    )
    keeps_it_down = True

    def defect(self) -> Mapping[str, str]:
        return {self.parameters.variable: self.parameters.value}

    def verify(self) -> Evidence | None:
        reason = self.context.stack.probe(self.instance())
        return None if reason is None else {"instance": self.name, "probe": reason}


class SlowVersionParameters(ReleaseParameters):
    """Parameters of `deploy.slow_version`."""

    latency: Duration = Field(description="added to every request", ge=0.05, le=60.0, json_schema_extra={"unit": "duration"})


class SlowVersion(BadRelease[SlowVersionParameters]):
    """The build works, and takes longer for everything."""

    spec = FaultSpec(
        name="deploy.slow_version",
        summary="Releases a build of one instance that needs that much longer for every request.",
        kind="version",
        parameters=SlowVersionParameters,
        targets=("service", "instance"),
        needs=("Environed", "Restartable"),
        evidence="it reports the version, and requests of the harness take longer by the latency; gone: another version, and quick again",
        example="{id: slow-release, type: deploy.slow_version, target: retrieval-1, at: fault, for: 30s, with: {latency: 300ms}}",
        recoverable_by=(*ROLLED_BACK_BY, "failover"),
        only_roles=("http",),
    )

    def defect(self) -> Mapping[str, str]:
        return {"BUILD_LATENCY_MS": str(self.parameters.latency * 1000)}

    def verify(self) -> Evidence | None:
        took_s = self._took_s()
        if took_s < CLEARLY * self.parameters.latency or reported_version(self.instance()) != self.parameters.version:
            return None
        return {"instance": self.name, "took_s": took_s, "asked_s": self.parameters.latency, "version": self.parameters.version}

    def gone(self) -> Evidence | None:
        ready = self.ready_as_declared()
        took_s = self._took_s() if ready is not None else 0.0
        return None if ready is None or took_s > HARDLY * self.parameters.latency else {**ready, "took_s": took_s}

    def _took_s(self) -> float:
        """Median of requests that no route serves: the service does no other work for them. Raises FaultError."""
        timeout_s = self.parameters.latency + 2.0
        rounds = ROUNDS if self.parameters.latency <= 1.0 else 1
        try:
            return median(ask(f"{self.instance().url}/", self.context.clock, timeout_s=timeout_s).duration_s for _ in range(rounds))
        except LookError as error:
            raise FaultError(str(error)) from error


_QUESTION = "When does the harbour master open the lock?"
_CONTEXTS = (
    {"doc_id": "probe-near", "text": "The harbour master opens the lock at ten past four."},
    {"doc_id": "probe-far", "text": "The canteen serves soup on Thursdays."},
)


class WrongAnswers(BadRelease[ReleaseParameters]):
    """The build answers quickly, with citations, and wrongly: nothing but the answers shows it."""

    spec = FaultSpec(
        name="deploy.wrong_answers",
        summary="Releases a build of one instance that answers from the least similar context alone: quick, cited and wrong.",
        kind="quality",
        parameters=ReleaseParameters,
        targets=("service", "instance"),
        needs=("Environed", "Restartable"),
        evidence="asked by the harness, it does not cite the one document with the answer; gone: another version, which does",
        example="{id: bad-prompt, type: deploy.wrong_answers, target: generation, at: fault, for: 30s}",
        recoverable_by=(*ROLLED_BACK_BY, "failover"),
        only_services=("generation",),
    )

    def defect(self) -> Mapping[str, str]:
        return {"BUILD_ANSWERS_FROM_LAST": "1"}

    def verify(self) -> Evidence | None:
        cited = self._cited()
        if "probe-near" in cited or reported_version(self.instance()) != self.parameters.version:
            return None
        return {"instance": self.name, "cited": cited, "version": self.parameters.version}

    def gone(self) -> Evidence | None:
        ready = self.ready_as_declared()
        cited = self._cited() if ready is not None else []
        return {**ready, "cited": cited} if ready is not None and "probe-near" in cited else None

    def _cited(self) -> list[str]:
        """What it cites for a question of which one of two documents holds the answer. Raises FaultError."""
        body = {"question": _QUESTION, "contexts": _CONTEXTS, "stream": False}
        try:
            answer = ask(f"{self.instance().url}/generate", self.context.clock, method="POST", body=body, timeout_s=10.0)
            if answer.status != 200:
                raise LookError(f"{self.name} answers {answer.status}")
            return list(answer.json()["citations"])
        except LookError as error:
            raise FaultError(str(error)) from error


class MixedVersions(BadRelease[ReleaseParameters]):
    """One instance runs another, good version: a rollout that stopped half-way, and stays so."""

    spec = FaultSpec(
        name="deploy.mixed_versions",
        summary="Benign: one instance of a service runs another, good version than its peers, as in a rollout that stopped half-way.",
        kind="none",
        parameters=ReleaseParameters,
        targets=("service", "instance"),
        needs=("Environed", "Restartable"),
        evidence="the instance reports the version, its peers another one, and all are ready; gone: all instances are ready",
        example="{id: half-way, type: deploy.mixed_versions, target: retrieval-1, at: fault, for: 30s, with: {version: 1.1.0}}",
        only_roles=("http",),
        benign=True,
    )

    def defect(self) -> Mapping[str, str]:
        return {}

    def verify(self) -> Evidence | None:
        instances = self.context.stack.instances(self.target.service)
        versions = {instance.name: reported_version(instance) for instance in instances}
        ready = all(self.context.stack.probe(instance) is None for instance in instances)
        mixed = versions[self.name] == self.parameters.version and (len(versions) == 1 or len(set(versions.values())) > 1)
        return {"versions": versions} if mixed and ready else None

    def heal(self) -> None:
        """Nothing to take back: both versions are good."""

    def gone(self) -> Evidence | None:
        instances = self.context.stack.instances(self.target.service)
        ready = {instance.name: self.context.stack.probe(instance) is None for instance in instances}
        return {"ready": ready} if ready and all(ready.values()) else None


FAULTS = (CrashingVersion, BadConfiguration, SlowVersion, WrongAnswers, MixedVersions)
