"""The verdict on a deploy, from its record alone: every gate is judged again, and must say what it said live."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness.deploy import gates
from harness.deploy.evidence import DeployDirectory, Evidence
from harness.deploy.gates import GROUP
from harness.deploy.loading import plan_of_text
from harness.deploy.plan import DeployPlan
from harness.gate import Verdict, compared
from harness.record import store
from harness.record.events import DEPLOY
from harness.record.history import History
from harness.score.check import Result, Status, merge
from harness.score.spans import Span


@dataclass(frozen=True, slots=True)
class JudgedDeploy:
    """A verdict with what it was drawn from."""

    directory: store.RunDirectory
    strategy: str
    verdict: Verdict
    serving: str | None  # the version that serves since; None where nobody can tell

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {**self.verdict.to_json(), "run_dir": str(self.directory.path), "strategy": self.strategy, "serving": self.serving}


def is_deploy(path: Path) -> bool:
    """Whether that is the record of a deploy, rather than of a run of a scenario."""
    try:
        return "deploy" in json.loads(store.RunDirectory(path).run_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def judge_deploy(path: Path) -> JudgedDeploy:
    """Raises RecordError (no record there), or DeployError (its file is damaged)."""
    directory = store.RunDirectory(path.resolve())
    users = store.read(directory.path)
    asked = users.run.get("deploy")
    if not isinstance(asked, Mapping):
        raise store.RecordError(f"{directory.path}: no deploy")
    evidence = Evidence(directory.path, _plan(directory, users.run, asked))
    results = list(_judge(evidence))
    serving = next((e.data.get("version") for e in reversed(evidence.users.events) if e.data.get("step") == "serving"), None)
    return JudgedDeploy(directory, str(asked["strategy"]), compared(results), serving)


def write_verdict(judged: JudgedDeploy) -> None:
    """`verdict.json` of the record; what was there is replaced."""
    text = json.dumps({**judged.to_json(), "run_dir": "."}, indent=2, sort_keys=True)  # the same bytes wherever the record lies
    judged.directory.verdict.write_text(text + "\n", encoding="utf-8")


def _plan(directory: store.RunDirectory, run: Mapping[str, Any], asked: Mapping[str, Any]) -> DeployPlan:
    file = DeployDirectory(directory.path).plan_file
    if not file.is_file():
        raise store.RecordError(f"{directory.path}: no {file.name}; the record is incomplete")
    text = file.read_bytes()
    if run.get("deploy_file_sha256") != sha256(text).hexdigest():
        raise store.RecordError(f"{file}: not the deploy that was carried out; it was changed, or cut, afterwards")
    return plan_of_text(text.decode("utf-8"), str(file), asked["strategy"]).plan


def _judge(evidence: Evidence) -> Iterator[Result]:
    """The outcome first: what stopped the deploy is what a reader wants to know."""
    users = evidence.users
    judged = [result for event in users.of_kind(DEPLOY) if "gate" in event.data for result in _again(evidence, event.data)]
    yield _outcome(users, judged)
    yield from judged
    yield gates.lost(users, _watched(users), evidence.rate)


def _again(evidence: Evidence, gate: Mapping[str, Any]) -> list[Result]:
    try:
        results = evidence.judge(gate)
    except Exception as error:  # noqa: BLE001  # whatever a gate raises must not lose the deploy, nor pass it
        reason = f"cannot be judged: {type(error).__name__}: {error}"
        return [Result(str(gate.get("name")), GROUP, Status.INCONCLUSIVE, reason)]
    told, now = str(gate.get("status")), str(merge(r.status for r in results))
    if told != now:
        name = str(gate["name"])
        results.append(Result(f"{name}.again", GROUP, Status.INCONCLUSIVE, f"{name} was {told} live, and is {now} from the record"))
    return results


def _outcome(users: History, judged: list[Result]) -> Result:
    ended = next((e.data for e in users.of_kind(DEPLOY) if e.data.get("step") == "outcome"), None)
    if ended is None or not users.complete:
        return Result("deploy.outcome", GROUP, Status.INCONCLUSIVE, "the deploy did not come to its end: whoever carried it out died")
    became = str(ended["became"])
    reason = str(ended["reason"])
    if became == "promoted":
        doubtful = next((r for r in judged if r.status not in (Status.PASS, Status.WARN)), None)
        if doubtful is not None:
            return Result("deploy.outcome", GROUP, doubtful.status, f"promoted although {doubtful.name}: {doubtful.reason}", value=became)
        return Result("deploy.outcome", GROUP, Status.PASS, reason, value=became)
    status = Status(str(ended["because"]))
    return Result("deploy.outcome", GROUP, status, reason, value=became)


def _watched(users: History) -> Span:
    """From the first moment that users were served to the last at which they were watched."""
    steps = {str(e.data.get("step")): e.t_ns for e in users.of_kind(DEPLOY)}
    return Span(steps.get("users", 0), steps.get("users_end", steps.get("users", 0)))
