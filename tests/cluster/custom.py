"""The facts of the custom resources that are used here: fields, types and choices of Chaos Mesh's v1alpha1 and of VerticalPodAutoscaler v1.

A schema is `str`, `int`, `bool`, a tuple of choices, `[entry]` for a list, `{"*": value}` for a map with any keys, or a map of fields, of
which those with a trailing `!` are required.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Any

MODES = ("one", "all", "fixed", "fixed-percent", "random-max-percent")
_EXPRESSION = {"key!": str, "operator!": str, "values": [str]}
SELECTOR = {
    "namespaces": [str], "nodes": [str], "pods": {"*": [str]}, "nodeSelectors": {"*": str}, "fieldSelectors": {"*": str},
    "labelSelectors": {"*": str}, "expressionSelectors": [_EXPRESSION], "annotationSelectors": {"*": str}, "podPhaseSelectors": [str],
}  # fmt: skip
PODS = {"selector!": SELECTOR, "mode!": MODES, "value": str, "duration": str, "remoteCluster": str}
CONTAINERS = {**PODS, "containerNames": [str]}
_RECORD = {
    "id!": str, "selectorKey!": str, "phase!": str, "injectedCount": int, "recoveredCount": int,
    "events": [{"type": str, "operation": str, "message": str, "timestamp": str}],
}  # fmt: skip
STATUS = {
    "conditions": [{"type!": str, "status!": str, "reason": str}],
    "experiment!": {"desiredPhase": ("Run", "Stop"), "containerRecords": [_RECORD]},
    "instances": {"*": int},
}
_CORRELATED = {"correlation": str}


def _chaos(spec: Mapping[str, Schema]) -> Schema:
    return {"spec!": spec, "status": STATUS}


SCHEMAS: Mapping[str, Schema] = {
    "PodChaos": _chaos({**CONTAINERS, "action!": ("pod-kill", "pod-failure", "container-kill"), "gracePeriod": int}),
    "NetworkChaos": _chaos({
        **PODS,
        "action!": ("netem", "delay", "loss", "duplicate", "corrupt", "partition", "bandwidth"),
        "direction": ("to", "from", "both"), "device": str, "targetDevice": str, "externalTargets": [str],
        "target": {"selector!": SELECTOR, "mode!": MODES, "value": str},
        "delay": {"latency!": str, "jitter": str, **_CORRELATED, "reorder": {"reorder!": str, "gap!": int, **_CORRELATED}},
        "loss": {"loss!": str, **_CORRELATED}, "duplicate": {"duplicate!": str, **_CORRELATED}, "corrupt": {"corrupt!": str, **_CORRELATED},
        "bandwidth": {"rate!": str, "limit!": int, "buffer!": int, "peakrate": int, "minburst": int},
    }),
    "StressChaos": _chaos({
        **CONTAINERS,
        "stressngStressors": str,
        "stressors": {
            "cpu": {"workers!": int, "load": int, "options": [str]},
            "memory": {"workers!": int, "size": str, "oomScoreAdj": int, "options": [str]},
        },
    }),
    "IOChaos": _chaos({
        **CONTAINERS,
        "action!": ("latency", "fault", "attrOverride", "mistake"), "volumePath!": str,
        "delay": str, "errno": int, "path": str, "methods": [str], "percent": int,
    }),
    "TimeChaos": _chaos({**CONTAINERS, "timeOffset!": str, "clockIds": [str]}),
    "DNSChaos": _chaos({**CONTAINERS, "action!": ("error", "random"), "patterns": [str]}),
    "VerticalPodAutoscaler": {
        "spec!": {
            "targetRef!": {"apiVersion": str, "kind!": str, "name!": str},
            "updatePolicy": {"updateMode": ("Off", "Initial", "Recreate", "InPlaceOrRecreate", "Auto"), "minReplicas": int},
            "resourcePolicy": {
                "containerPolicies": [{
                    "containerName": str, "mode": ("Auto", "Off"), "minAllowed": {"*": str}, "maxAllowed": {"*": str},
                    "controlledResources": [str], "controlledValues": ("RequestsAndLimits", "RequestsOnly"),
                }],
            },
            "recommenders": [{"name!": str}],
        },
        "status": {},
    },
}  # fmt: skip

_DURATIONS = re.compile(r"^[+-]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$")
_DURATION_FIELDS = {"duration", "latency", "jitter", "delay", "timeOffset"}
_PERCENT_FIELDS = {"loss", "corrupt", "duplicate", "correlation"}


def misfits(document: Any, schema: Schema, path: str) -> Iterator[tuple[str, str, str]]:
    """(kind, path, text) of everything that is wrong; `kind` as of `types.Misfit`."""
    if isinstance(schema, dict) and "*" in schema:
        yield from _all(document, dict, path, ((f"{path}.{key}", value, schema["*"]) for key, value in _items(document)))
    elif isinstance(schema, dict):
        yield from _fields(document, schema, path)
    elif isinstance(schema, list):
        yield from _all(document, list, path, ((f"{path}[{n}]", one, schema[0]) for n, one in enumerate(_entries(document))))
    elif isinstance(schema, tuple):
        if document not in schema:
            yield "value", path, f"Unsupported value: {document!r}: supported values: {', '.join(schema)}"
    elif not isinstance(document, schema) or (schema is int and isinstance(document, bool)):
        yield "type", path, f"Invalid value: {type(document).__name__!r}: must be of type {schema.__name__}"
    else:
        yield from _of_text(document, path)


def _fields(document: Any, schema: Mapping[str, Schema], path: str) -> Iterator[tuple[str, str, str]]:
    known = {name.rstrip("!"): entry for name, entry in schema.items()}
    entries = ((f"{path}.{key}".lstrip("."), value, known[key]) for key, value in _items(document) if key in known)
    yield from _all(document, dict, path, entries)
    for key, _ in _items(document):
        if key not in known:
            yield "unknown", f"{path}.{key}".lstrip("."), "unknown field"
    for name in schema:
        if name.endswith("!") and name[:-1] not in dict(_items(document)):
            yield "value", f"{path}.{name[:-1]}".lstrip("."), "Required value"


def _all(document: Any, kind: type, path: str, entries: Iterator[tuple[str, Any, Schema]]) -> Iterator[tuple[str, str, str]]:
    if not isinstance(document, kind):
        yield "type", path, f"Invalid value: {type(document).__name__!r}: must be a {kind.__name__}"
        return
    for where, value, schema in entries:
        yield from misfits(value, schema, where)


def _items(document: Any) -> Any:
    return document.items() if isinstance(document, dict) else ()


def _entries(document: Any) -> Any:
    return document if isinstance(document, list) else ()


def _of_text(value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """What the webhooks of Chaos Mesh look at: durations and percentages in strings."""
    field = path.rpartition(".")[2]
    if field in _DURATION_FIELDS and not _DURATIONS.match(str(value)):
        yield "value", path, f"Invalid value: {value!r}: not a duration"
    if field in _PERCENT_FIELDS and not 0 <= float(value) <= 100:
        yield "value", path, f"Invalid value: {value!r}: not between 0 and 100"
