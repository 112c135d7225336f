"""A project that is ready for release, in a git repository of its own, and its pipeline: that of `pipelines/release.yaml` with light steps.

Its stages, and what they need, are read from there. Their steps are few and quick: the wheel and its provenance, one file of unit
tests, the review of the manifests, the step of the security stage that a defect is for, a deploy under light load, an alert on a small
stack. Left out is what has nothing to do with any of the defects: bills of materials, all other tests, scenarios, benchmarks, the review
of code, the search for secrets in files.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.record.clock import utc_now
from tests.benchmarks.planted.defects import DOCKERFILE, IMAGE, PINNED, REQUIREMENTS, RULE, RULES, Defect

ROOT = Path(__file__).resolve().parents[3]
PIPELINE = "planted/release.yaml"
_DEPLOY = "planted/deploy.yaml"
_DATABASE = "planted/advisories"
_STACK: Mapping[str, Any] = {"documents": 60, "replicas": {"retrieval": 2, "generation": 1, "query": 1}}
_USUAL: Mapping[str, Any] = {
    "name": "planted",
    "stack": _STACK,
    "users": {"rate": "5/s", "mix": {"ask_stream": 3, "search": 1}, "timeout": "40s"},  # one kind has the median, whatever chance says
    "objectives": {"availability": ">= 90%", "latency_p50": "<= 6s"},
    "smoke": {"questions": 10},
    "bake": "8s",
    "proof": {"answers": 20},
}
_ADVISORY: Mapping[str, Any] = {
    "schema_version": "1.4.0",
    "id": "GHSA-ffqj-6fqr-9h24",
    "aliases": ["CVE-2022-29217"],
    "summary": "Key confusion in PyJWT through public key formats that are not on its list",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "pyjwt"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1.5.0"}, {"fixed": "2.4.0"}]}],
        }
    ],
}
_EVERY = frozenset({"wheel", "provenance", "unit", "manifests", "blue-green", "alerts"})


def make(folder: Path, defect: Defect, image: str) -> None:
    """Clone the commit that is checked out here, plant the defect, and commit: a release is made from what is committed."""
    subprocess.run(["git", "clone", "-q", "--shared", str(ROOT), str(folder)], check=True)
    good = {REQUIREMENTS: PINNED.format(jwt="2.10.1"), DOCKERFILE: IMAGE, RULES: RULE.format(expr="up == 0")}
    pipeline = derived(yaml.safe_load((folder / "pipelines/release.yaml").read_text(encoding="utf-8")), defect, image)
    own = {_DEPLOY: deploy_file(defect), PIPELINE: yaml.safe_dump(pipeline, sort_keys=False)}
    for name, text in {**good, **own, **defect.files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    _database(folder)
    for edit in defect.edits:
        plant(folder / edit.file, edit.old, edit.new)
    _git(folder, "add", "-A")
    _git(folder, "-c", "user.name=planted", "-c", "user.email=planted@localhost", "commit", "-qm", f"planted: {defect.name}")


def deploy_file(defect: Defect) -> str:
    """How the new version is rolled out."""
    change = {"version": "1.1.0", "environment": _plain(defect.environment)}
    return yaml.safe_dump({**_plain(_USUAL), "change": change, **_plain(defect.deploy)}, sort_keys=False)


def plant(file: Path, old: str, new: str) -> None:
    """Raises ValueError where the place is not there exactly once: then nothing would be planted, or more than was meant."""
    text = file.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise ValueError(f"{file}: the place to plant it is there {text.count(old)} times: {old.strip()}")
    file.write_text(text.replace(old, new), encoding="utf-8")


def derived(release: Mapping[str, Any], defect: Defect, image: str) -> dict[str, Any]:
    """The pipeline of a project: the stages of the release, with the light steps that this defect needs.

    Raises ValueError for a stage that has none: it would be left out without a word.
    """
    light, wanted = _light(image), _EVERY | defect.steps
    if unknown := set(release["stages"]) - set(light):
        raise ValueError(f"pipelines/release.yaml has stages without light steps: {', '.join(sorted(unknown))}")
    stages = {
        name: {
            **({"needs": stage["needs"]} if stage.get("needs") else {}),
            "steps": [step for step in light[name] if step["id"] in wanted],
        }
        for name, stage in release["stages"].items()
    }
    if defect.stage and defect.step not in {step["id"] for step in stages[defect.stage]["steps"]}:
        raise ValueError(f"{defect.name} is to be stopped by {defect.stage}/{defect.step}, which is no step")
    if "images" in wanted:  # what is looked into has been built
        stages["security"]["needs"] = ["build"]
    return {"name": "planted", "description": f"Ready for release but for one defect: {defect.name}.", "stages": stages}


def _light(image: str) -> dict[str, list[dict[str, Any]]]:
    return {
        "build": [
            {"id": "wheel", "uses": "build.wheel", "timeout": "10m"},
            {"id": "provenance", "uses": "build.provenance", "with": {"files": ["${steps.wheel.file}"]}},
            {"id": "images", "uses": "command", "with": {"argv": ["docker", "build", "--tag", image, str(Path(DOCKERFILE).parent)]}},
        ],
        "security": [
            {"id": "manifests", "uses": "command", "with": {"argv": ["gauntlet", "audit", "mocks/rag/deploy"]}},
            {"id": "dependencies", "uses": "security.dependencies", "with": {"requirements": [REQUIREMENTS], "database": _DATABASE}},
            {"id": "image", "uses": "security.image", "with": {"images": [image], "packages": False}},
            {
                "id": "abuse",
                "uses": "security.abuse",
                "timeout": "10m",
                "with": {"plan": "environments/abuse/reference.yaml", "stack": "processes"},
            },
        ],
        "test": [{"id": "unit", "uses": "test.pytest", "with": {"paths": ["tests/unit/deploy/test_plan.py"], "args": ["-q"], "least": 10}}],
        "deploy": [{"id": "blue-green", "uses": "deploy.blue_green", "timeout": "15m", "with": {"file": _DEPLOY}}],
        "monitor": [
            {
                "id": "alerts",
                "uses": "monitor.alerts",
                "timeout": "10m",
                "with": {"rules": [RULES], "rate": "4/s", "stack": {**_STACK, "replicas": {"retrieval": 2, "generation": 1}}},
            }
        ],
    }


def _database(folder: Path) -> None:
    """One advisory, in a database of today that has no more to say of the packages that the project pins: so that good pins pass."""
    head = {"taken": utc_now().date().isoformat(), "covers": ["starlette", "pyjwt"]}
    (folder / _DATABASE).mkdir()
    for name, document in (("snapshot", head), (_ADVISORY["id"], _ADVISORY)):
        (folder / _DATABASE / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")


def _plain(value: Any) -> Any:
    return {key: _plain(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True)
