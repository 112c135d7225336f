"""The twelve defects: what is planted, and where a release pipeline must stop it with which words. A new one is a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RULES = "planted/rules.yml"
REQUIREMENTS = "planted/requirements.txt"
DOCKERFILE = "planted/image/Dockerfile"
RULE = """groups:
  - name: planted
    rules:
      - alert: InstanceDown
        expr: {expr}
        for: 5s
        labels: {{severity: critical, kind: crash}}
"""
IMAGE = """FROM rag-gauntlet/services:latest
USER 65534:65534
"""
PINNED = "starlette==0.49.1\nPyJWT=={jwt}\n"


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of one place in a source file of the project."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Defect:
    """One. `said` are words that the reason must hold; `steps` run besides those that every pipeline here has."""

    name: str
    stage: str = ""  # empty: nothing is planted, and nothing may be stopped
    step: str = ""
    said: tuple[str, ...] = ()
    steps: frozenset[str] = frozenset()
    deploy: Mapping[str, Any] = field(default_factory=dict)  # keys of the deploy file that are other than usual
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # of the new version, by service
    files: Mapping[str, str] = field(default_factory=dict)  # of the project, instead of the good ones
    edits: tuple[Edit, ...] = ()


VERIFY = {"length": "30s", "rate": "5/s", "metrics": {"latency_p50": "100%"}}
MEMORY = {"length": "45s", "rate": "6/s", "per_request_kib": 200}
SLOWER = {"query": {"BUILD_LATENCY_MS": "9000"}}  # no busy machine makes a good version as slow
_SHIFT = '        self._call("PUT", "/weights", {"urls": dict(self.urls), "weights": dict(weights)})\n'
_BACK = 'deploy.shift({deploy.old.name: 100.0}, "back")'
_NO_TOKEN = '            raise self._refuse(request, "missing", "a bearer token is needed")\n'

CONTROL = Defect("none", steps=frozenset({"dependencies", "images", "image", "abuse"}), deploy={"verify": VERIFY, "memory": MEMORY})
DEFECTS = (
    Defect(
        "vulnerable-dependency",
        "security",
        "dependencies",
        (f"{REQUIREMENTS}:2", "pyjwt 2.3.0: GHSA-ffqj-6fqr-9h24 (CVE-2022-29217)", "install pyjwt 2.4.0"),
        frozenset({"dependencies"}),
        files={REQUIREMENTS: PINNED.format(jwt="2.3.0")},
    ),
    Defect(
        "secret-in-image",
        "security",
        "image",
        ("image:", "holds a secret (LLM_API_KEY)"),
        frozenset({"images", "image"}),
        files={DOCKERFILE: IMAGE + "ENV LLM_API_KEY=7d1c5b0f3e9a42688fd0a1b2c3d4e5f6\n"},
    ),
    Defect(
        "missing-auth",
        "security",
        "abuse",
        ("environments/abuse/reference.yaml", "GET /api/health/detailed without a token: answered 200 instead of refusing"),
        frozenset({"abuse"}),
        edits=(
            Edit(
                "mocks/rag/gateway/auth.py",
                _NO_TOKEN,
                "            return Caller(next(iter(self._keys._keys.by_id.values())), by_token=False)\n",
            ),
        ),
    ),
    Defect(
        "bad-url",
        "deploy",
        "blue-green",
        ("planted/deploy.yaml:", "REDIS_URL: the URL has no scheme", "write it whole: scheme://host:port/"),
        environment={"retrieval": {"REDIS_URL": "127.0.0.1:6379"}},
    ),
    Defect(
        "crash-on-start",
        "deploy",
        "blue-green",
        ("deploy.started", "version 1.1.0 does not start: retrieval-1 ended before it was ready: exit status 70"),
        environment={"retrieval": {"BUILD_CRASHES": "1"}},
    ),
    Defect(
        "broken-health-check",
        "deploy",
        "blue-green",
        ("deploy.started", "version 1.1.0 does not start", "query-1", "not ready"),
        environment={"query": {"BUILD_NEVER_READY": "1"}},
    ),
    Defect(
        "wrong-answers",
        "deploy",
        "blue-green",
        ("deploy.smoke", "wrong answers", "of 10 questions with known answers were answered rightly"),
        environment={"generation": {"BUILD_ANSWERS_FROM_LAST": "1"}},
    ),
    Defect(
        "slow-version",
        "deploy",
        "blue-green",
        ("deploy.verify", "latency_p50"),
        deploy={"verify": VERIFY},
        environment={"query": {"BUILD_LATENCY_MS": "3000"}},
    ),
    Defect(
        "leaking-memory",
        "deploy",
        "blue-green",
        ("deploy.memory.query-1", "leaking memory: query-1 keeps", "KiB of every request"),
        deploy={"memory": MEMORY},
        environment={"query": {"BUILD_LEAK_BYTES": "1048576"}},
    ),
    Defect(
        "dropped-requests",
        "deploy",
        "blue-green",
        ("requests were lost", "503"),
        edits=(
            Edit(
                "harness/deploy/routing.py",
                _SHIFT,
                '        self._call("PUT", "/weights", {"urls": dict(self.urls), "weights": dict.fromkeys(weights, 0.0)})\n'
                "        self.clock.sleep(1.5)\n" + _SHIFT,
            ),
        ),
    ),
    Defect(
        "deaf-rollback",
        "deploy",
        "blue-green",
        ("stopped by deploy.bake.latency_p50", "the rollback is not proved", "come from 1.1.0, not from 1.0.0"),
        deploy={"smoke": {"questions": 5}},
        environment=SLOWER,  # so that there is something to go back from
        edits=(Edit("harness/deploy/blue_green.py", _BACK, 'deploy.step("shifted.back")'),),
    ),
    Defect(
        "silent-alert-rule",
        "monitor",
        "alerts",
        ("a rule that can never fire", f"{RULES}:", "rag_instance_up"),
        files={RULES: RULE.format(expr="rag_instance_up == 0")},
    ),
)
