"""The operator's only input: which endpoints to watch, who calls whom, what was promised, and where to speak."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from harness.scenario.units import duration_s

RecoveryMode = Literal["act", "dry_run", "approve"]
RECOVERY_MODES: tuple[RecoveryMode, ...] = ("act", "dry_run", "approve")


class TargetsError(ValueError):
    """The targets file cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One registered instance of a service. `metrics` None: it has none to be scraped."""

    service: str
    instance: str
    url: str
    metrics: str | None = None


@dataclass(frozen=True, slots=True)
class Targets:
    """Parsed targets.yaml. `kinds` maps a service to http, llm, vector, postgres, redis or tls (probed by a handshake)."""

    kinds: Mapping[str, str]
    registry: Path | None
    static: Mapping[str, tuple[str, ...]]
    edges: tuple[tuple[str, str], ...]
    metrics: Mapping[str, str | None] = field(default_factory=dict)  # of services that say where theirs are, or that they have none
    client_metrics: str | None = None
    slos: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)  # alerts, diagnoses, escalations -> URL
    canaries: Mapping[str, str] = field(default_factory=dict)  # embedding, search, generation -> the service that takes it
    actions_url: str | None = None
    recovery_mode: RecoveryMode = "act"
    approvals: Path | None = None  # where a person writes what may be done, in the mode `approve`
    most_actions: int | None = None  # in any window of `within_s`; None: as the guardrails have it
    within_s: float | None = None
    cooldown_s: Mapping[str, float] = field(default_factory=dict)  # by verb, where the usual does not fit
    strategies: tuple[str, ...] = ()  # of other distributions, tried before those that come along
    token: str | None = None
    trusted: Path | None = None  # certificates (PEM) of authorities trusted beside this machine's
    time_scale: float = 1.0
    directory: Path = Path()  # of the file, to which paths in it are relative
    notify: Mapping[str, Any] | None = None  # who is told of alerts, and how
    rules: tuple[Path, ...] = ()  # rule files, whose alerts are told in the place of the operator's own

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Instances registered at this moment; one that was taken out of discovery on purpose is not watched."""
        listed = self._registered() if self.registry else []
        fixed = [self._endpoint(s, f"{s}-{n}", url) for s, urls in self.static.items() for n, url in enumerate(urls, 1)]
        return tuple(listed + fixed)

    @property
    def entry(self) -> str:
        """The service that users ask: what ends TLS, where something does; else `gateway`, else the first that is named."""
        ends_tls = next((s for s, kind in self.kinds.items() if kind == "tls"), None)
        return ends_tls or ("gateway" if "gateway" in self.kinds else next(iter(self.kinds), "gateway"))

    def callees(self, service: str) -> tuple[str, ...]:
        """Services that `service` calls directly."""
        return tuple(callee for caller, callee in self.edges if caller == service)

    def providers(self) -> tuple[str, ...]:
        """Services of kind llm, in the order of the file."""
        return tuple(s for s, kind in self.kinds.items() if kind == "llm")

    @property
    def promised_p95_s(self) -> float | None:
        """Seconds of `latency_p95: "<= 800ms"`, if that was promised."""
        number = self.slos.get("latency_p95", "").lstrip("<= ").strip()
        for unit, factor in (("ms", 0.001), ("s", 1.0)):
            if number.endswith(unit):
                return float(number.removesuffix(unit)) * factor
        return None

    def _endpoint(self, service: str, instance: str, url: str) -> Endpoint:
        usual = f"{url}/metrics" if url.startswith("http") else None
        return Endpoint(service, instance, url, self.metrics.get(service, usual))

    def _registered(self) -> list[Endpoint]:
        assert self.registry is not None
        try:
            document = json.loads(self.registry.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []  # replaced atomically, so this is a registry that is gone: nothing is registered
        return [
            self._endpoint(service, str(entry["name"]), str(entry["url"]))
            for service, entries in document.get("services", {}).items()
            for entry in entries
            if service in self.kinds and service not in self.static
        ]


def load_targets(path: Path) -> Targets:
    """Read a targets file. Raises TargetsError."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TargetsError(f"{path}: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("services"), dict):
        raise TargetsError(f"{path}: no `services:` mapping; see docs/operator.md for the format")
    return targets_of(document, path)


def targets_of(document: Mapping[str, Any], path: Path) -> Targets:
    """From a document that was read; `path` is what errors call it. Raises TargetsError."""
    try:
        recovery = document.get("recovery") or {}
        return Targets(
            kinds={str(s): str((d or {}).get("kind", "http")) for s, d in document["services"].items()},
            registry=Path(document["registry"]) if document.get("registry") else None,
            static={str(s): tuple(str(u) for u in urls) for s, urls in (document.get("static") or {}).items()},
            edges=tuple((str(a), str(b)) for a, b in document.get("edges") or ()),
            metrics={str(s): d["metrics"] for s, d in document["services"].items() if d and "metrics" in d},
            client_metrics=(document.get("client") or {}).get("metrics"),
            slos={str(k): str(v) for k, v in (document.get("slos") or {}).items()},
            claims={str(k): str(v) for k, v in (document.get("claims") or {}).items()},
            canaries={str(k): str(v) for k, v in (document.get("canaries") or {}).items()},
            actions_url=(document.get("actions") or {}).get("url"),
            recovery_mode=_mode(recovery.get("mode", "act")),
            approvals=Path(recovery["approvals"]) if recovery.get("approvals") else None,
            most_actions=None if recovery.get("most_actions") is None else int(recovery["most_actions"]),
            within_s=None if recovery.get("within") is None else duration_s(str(recovery["within"])),
            cooldown_s={str(verb): duration_s(str(given)) for verb, given in (recovery.get("cooldown") or {}).items()},
            strategies=tuple(map(str, recovery.get("strategies") or ())),
            token=document.get("token"),
            trusted=Path(document["trusted"]) if document.get("trusted") else None,
            time_scale=float(document.get("time_scale", 1.0)),
            directory=path.parent,
            notify=document.get("notify"),
            rules=tuple(path.parent / str(file) for file in document.get("rules") or ()),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise TargetsError(f"{path}: {error}") from error


def _mode(word: object) -> RecoveryMode:
    for mode in RECOVERY_MODES:
        if word == mode:
            return mode
    raise ValueError(f"recovery.mode: {word!r} is none of {', '.join(RECOVERY_MODES)}")
