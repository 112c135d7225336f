"""Are there secrets in the files of a repository, or anywhere in its history? By detect-secrets; false ones are accepted by fingerprint."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.security.telling import answer
from harness.scenario.fields import Model
from harness.score.check import Status
from harness.security import secret_scan
from harness.security.accepted import AcceptedError, load, without_accepted


class Secrets(Model):
    """Where to look."""

    path: str = Field(default=".", description="the folder, of a git repository or not")
    history: bool = Field(default=True, description="look at every line that any commit has added, too")
    max_commits: Annotated[int, Field(ge=1, le=100_000)] = Field(default=5_000, description="the latest, of a longer history")
    accepted: str | None = Field(default=None, description="a YAML list of {fingerprint, reason}")


def carry_out(options: Secrets, context: Context) -> StepResult:
    """FAIL for a secret; INCONCLUSIVE where files or the history could not be looked at as a whole."""
    root = context.root / options.path
    try:
        accepted = load(context.root / options.accepted if options.accepted else None)
        files = secret_scan.tracked(root)
        context.say(f"looking at {len(files)} files")
        found = list(secret_scan.in_files(files, root))
    except AcceptedError as error:
        return StepResult(Status.FAIL, str(error))
    except ModuleNotFoundError:
        return StepResult(Status.INCONCLUSIVE, "detect-secrets is not installed: pip install 'rag-gauntlet[security]'")
    except OSError as error:
        return StepResult(Status.INCONCLUSIVE, f"cannot be read: {error}")
    doubts = [] if files else [f"{options.path}: no file to look at"]
    told = f"{len(files)} files"
    if options.history:
        context.say(f"{told} looked at; now the history")
        past = secret_scan.in_history(root, options.max_commits)
        told = f"{told} and {past.commits} commits"
        doubts += [past.doubt] if past.doubt else []
        here = {one.fingerprint for one in found}
        found += [one for one in past.found if one.fingerprint not in here]
    findings = without_accepted(found, accepted, options.accepted or "")
    return answer(context, "secrets", findings, f"no secret in {told}", doubts)
