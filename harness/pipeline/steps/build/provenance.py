"""Provenance of what was built: an in-toto statement with SLSA's predicate, which names commit, builder, materials and digests.

in-toto attestation framework v1 (github.com/in-toto/attestation, spec/v1/statement.md); SLSA provenance v1 (slsa.dev/spec/v1.0/provenance).
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from harness import __version__
from harness.pipeline import fingerprint
from harness.pipeline.fingerprint import Tree
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.build.wheel import digest
from harness.record.clock import utc_now
from harness.scenario.fields import Model
from harness.score.check import Status

OUTPUTS = {"statement": "the statement, as JSON"}
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://github.com/rag-gauntlet/rag-gauntlet/blob/main/docs/pipeline.md#provenance"
_BUILDER_ID = "https://github.com/rag-gauntlet/rag-gauntlet/blob/main/docs/pipeline.md#the-builder"


class Provenance(Model):
    """What was built."""

    files: list[Path] = Field(default_factory=list, description="files that were built: a wheel")
    images: str = Field(default="", description="`name=sha256:…` of images, with a comma between two: `${steps.images.ids}`")
    materials: list[Path] = Field(default_factory=list, description="further files that went into it: a bill of materials, a lock file")
    allow_dirty: bool = Field(default=False, description="changes that are not committed are a warning, rather than a failure")


def carry_out(options: Provenance, context: Context) -> StepResult:
    """Write the statement. What was built of no commit has no provenance."""
    state = fingerprint.tree(context.root, _records(context.directory))
    if state.content is None:
        return StepResult(Status.INCONCLUSIVE, "there is no git repository here: nothing says what this was built from")
    missing = [str(path) for path in (*options.files, *options.materials) if not (context.root / path).is_file()]
    if missing:
        return StepResult(Status.FAIL, f"not there: {', '.join(missing)}")
    subjects = [*_files(context.root, options.files), *_images(options.images)]
    if not subjects:
        return StepResult(Status.INCONCLUSIVE, "nothing was built: name files or images")
    kept = context.directory / "provenance.json"
    document = statement(
        subjects, state, _files(context.root, options.materials), _origin(context.root), context.directory.parent.parent.name
    )
    kept.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    told = f"{len(subjects)} subject{'' if len(subjects) == 1 else 's'} built from {state.short}"
    evidence, outputs = {"statement": kept}, {"statement": str(kept)}
    if not state.dirty:
        return StepResult(Status.PASS, told, evidence=evidence, outputs=outputs)
    status = Status.WARN if options.allow_dirty else Status.FAIL
    return StepResult(
        status, f"{told}, with changes that are not committed: nobody could build it again", evidence=evidence, outputs=outputs
    )


def statement(
    subjects: Sequence[dict[str, Any]], state: Tree, materials: Sequence[dict[str, Any]], origin: str, invocation: str
) -> dict[str, Any]:
    """The document. `origin` is the address of the repository, without credentials; `invocation` names the run."""
    source = {"uri": f"git+{origin}" if origin else "git+file:.", "digest": {"gitCommit": state.sha}}
    return {
        "_type": STATEMENT_TYPE,
        "subject": list(subjects),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"source": source["uri"], "revision": state.sha},
                "internalParameters": {"dirty": state.dirty, "uncommitted": state.content if state.dirty else None},
                "resolvedDependencies": [source, *materials],
            },
            "runDetails": {
                "builder": {
                    "id": _BUILDER_ID,
                    "version": {"rag-gauntlet": __version__, "python": platform.python_version(), "platform": sys.platform},
                },
                "metadata": {"invocationId": invocation, "finishedOn": utc_now().strftime("%Y-%m-%dT%H:%M:%SZ")},
            },
        },
    }


def _files(root: Path, paths: Sequence[Path]) -> list[dict[str, Any]]:
    return [{"name": path.name, "digest": {"sha256": digest(root / path)}} for path in paths]


def _images(ids: str) -> Iterator[dict[str, Any]]:
    for one in filter(None, ids.split(",")):
        name, _, value = one.partition("=")
        yield {"name": name, "digest": {"sha256": value.removeprefix("sha256:")}}


def _origin(root: Path) -> str:
    """Where the repository comes from, without a user and a password."""
    address = fingerprint.git(root, "remote", "get-url", "origin")
    text = (address or b"").decode(errors="replace").strip()
    scheme, separator, rest = text.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if separator else text.rpartition("@")[2]


def _records(directory: Path) -> Path:
    """The folder of all records, which a step's own lies in: runs/pipelines/<name>/<run>/<stage>/<step>."""
    return directory.parents[4]
