"""A restore drill: what an environment holds is saved and restored into a fresh stack, within its limits of RPO and RTO."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from harness.environments.backup import MANIFEST
from harness.environments.checking import LoadedEnvironment, load
from harness.environments.deploying import deploy_of
from harness.environments.layers import LayersError
from harness.faults.http_look import LookError, ask
from harness.pipeline.answers import said_in
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.deploy import command
from harness.record.clock import SystemClock
from harness.scenario.fields import Model
from harness.scenario.problem import ScenarioError
from harness.score.check import Status

OUTPUTS = {
    "rpo_s": "age of the oldest change that the backup lacks",
    "rto_s": "from the decision to the last answer",
    "documents": "how many were saved",
}
_ASK_S = 30.0
_TAKEN = (200, 201, 202)


class Drill(Model):
    """Which environment (docs/environments.md); it must say `recovery: {rpo, rto}`.

    Where its site does not stand, one is started for the drill, which takes in a document before the backup and one afterwards:
    else nothing could be lost.
    """

    environment: str = Field(description="its name: that of its file")
    folder: Path = Field(default=Path("environments"), description="where the layers are")


class _TroubleError(Exception):
    """The drill did not come to a verdict."""


def carry_out(options: Drill, context: Context) -> StepResult:
    """Save, restore, ask."""
    folder = context.root / options.folder
    try:
        loaded = load(folder, options.environment, context.environment)
        site = deploy_of(loaded, folder, context.environment).loaded.plan.name
        _must_be_limited(loaded)
    except ScenarioError as error:
        return command.refused(error, "deploy.configuration", context)
    drilled = _Drilled(options, context)
    try:
        with tempfile.TemporaryDirectory(prefix="drill-") as work, drilled.standing(site, Path(work)) as ours:
            drilled.save(Path(work), ours)
            return drilled.restore(Path(work))
    except _TroubleError as error:
        return StepResult(Status.INCONCLUSIVE, str(error), evidence={"log": drilled.log})


def _must_be_limited(loaded: LoadedEnvironment) -> None:
    if loaded.environment.recovery is None:
        message = f"{loaded.name} does not say what a backup must give"
        raise LayersError([loaded.layered.problem((), message, "add `recovery: {rpo: 5m, rto: 10m}`")])


@dataclass(frozen=True, slots=True)
class _Drilled:
    """One drill. What holds a key, or the data, lies in a folder that is removed; the step's own keeps what proves it."""

    options: Drill
    context: Context

    @property
    def log(self) -> Path:
        return self.context.directory / "drill.log"

    @contextmanager
    def standing(self, site: str, work: Path) -> Iterator[Mapping[str, Any] | None]:
        """The site, where it is one of ours; None for one that stood already. Raises _TroubleError."""
        if self._run(["deploy", "status", site, "--json"], work / "status.json") == 0:
            yield None
            return
        self.context.say(f"{site} does not stand: it is started for the drill")
        try:
            if self._run(self._config("up"), work / "up.json") != 0:
                raise _TroubleError(f"{site} does not start: {self._said(work / 'up.json')}")
            yield said_in(work / "up.json")
        finally:
            command.run(["deploy", "down", site], work / "down.txt", self.log, self.context, to_the_end=True)

    def save(self, work: Path, ours: Mapping[str, Any] | None) -> None:
        """A backup below the work folder. Raises _TroubleError."""
        _take_in(ours, "drill-before")
        if self._run([*self._config("backup"), "--out", str(work / "backup")], work / "backup.json") != 0:
            raise _TroubleError(f"no backup: {self._said(work / 'backup.json')}")
        _take_in(ours, "drill-after")
        shutil.copy(work / "backup" / MANIFEST, self.context.directory / MANIFEST)

    def restore(self, work: Path) -> StepResult:
        """What the drill says. Raises _TroubleError."""
        answer = self.context.directory / "drill.json"
        self._run([*self._config("drill"), str(work / "backup")], answer)
        document = said_in(answer)
        if "verdict" not in document:
            raise _TroubleError(f"no verdict: {self._said(answer)}")
        checks = {check["name"]: check for check in document["checks"]}
        rpo, rto = (checks.get(f"recovery.{name}", {}) for name in ("rpo", "rto"))
        saved = said_in(self.context.directory / MANIFEST)["contents"]["documents"]
        outputs = {"rpo_s": str(rpo.get("value", "")), "rto_s": str(rto.get("value", "")), "documents": str(saved)}
        reason = str(document["reason"])
        if document["verdict"] == Status.PASS.value:
            reason = f"{saved} documents restored; RTO {rto['value']:.1f}s ({rto['limit']}), RPO {rpo['value']:.1f}s ({rpo['limit']})"
        evidence = {"verdict": answer, "backup": self.context.directory / MANIFEST, "log": self.log}
        return StepResult(Status(document["verdict"]), reason, evidence=evidence, outputs=outputs)

    def _config(self, verb: str) -> list[str]:
        return ["config", verb, self.options.environment, "--dir", str(self.options.folder), "--json"]

    def _run(self, argv: list[str], answer: Path) -> int:
        if self.context.stopped():
            raise _TroubleError("interrupted")
        return command.run(argv, answer, self.log, self.context)

    def _said(self, answer: Path) -> str:
        return str(said_in(answer).get("error") or command.last_line(self.log))


def _take_in(site: Mapping[str, Any] | None, doc_id: str) -> None:
    """A document more, where the site is one of ours. Raises _TroubleError."""
    if site is None:
        return
    text = f"The lighthouse keeper of {doc_id} counts seven gulls."
    try:
        answer = ask(
            f"{site['url']}/api/documents",
            SystemClock(),
            method="POST",
            headers={"authorization": f"Bearer {site['api_key']}"},
            body={"doc_id": doc_id, "title": doc_id, "text": text},
            timeout_s=_ASK_S,
        )
    except LookError as error:
        raise _TroubleError(f"the site takes no document: {error}") from error
    if answer.status not in _TAKEN:
        raise _TroubleError(f"the site takes no document: status {answer.status}")
