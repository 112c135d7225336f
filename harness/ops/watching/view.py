"""What a person sees: lines for what happened, a table for how it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.table import Table

from harness.ops.monitoring.levels import Status, overall
from harness.ops.monitoring.readings import HOST
from harness.ops.watching.monitor import Snapshot

_COLOURS = {"healthy": "green", "warning": "yellow", "critical": "red", "unknown": "dim"}


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """One event as lines of text."""
    at = _clock_time(str(document["at"]))
    for text in _texts(document):
        yield f"{at}  {text}"


def _texts(document: Mapping[str, Any]) -> Iterator[str]:
    what, body = document["what"], document.get("body", {})
    error = document.get("answer", {}).get("error") if isinstance(document.get("answer"), Mapping) else None
    suffix = f"  [not received: {error}]" if error else ""
    match what:
        case "watching":
            acts = "dry run: actions are only told" if document["dry_run"] else "actions are asked for"
            yield f"watching {', '.join(document['services'])}; {acts}"
        case "alerts":
            for alert in body.get("alerts", ()):
                labels = alert["labels"]
                name = " ".join(labels[key] for key in ("alertname", "service", "instance", "metric") if labels.get(key))
                yield f"{alert['status'].upper():<9} {labels['severity']} {name}: {alert['annotations']['summary']}{suffix}"
            if not body:
                yield f"alerts{suffix}"
        case "diagnosis":
            causes = ", ".join(f"{c['service']} ({c['kind']}, {c['confidence']:.2f})" for c in body["causes"])
            yield f"DIAGNOSIS {causes}{suffix}"
        case "action":
            words = " ".join(str(part) for part in (body["verb"], body["service"], body.get("instance") or "") if part)
            yield f"{'WOULD DO ' if document['dry_run'] else 'ACTION   '} {words}{suffix}"
        case "escalation":
            yield f"PERSON    {body['reason']}{suffix}"
        case "pressure":
            top = ", ".join(
                f"{p['name']} ({p['pid']}, {p['cpus']:.2g} cpus, {p['memory_bytes'] / 2**20:.0f} MiB)" for p in document["processes"]
            )
            yield f"PRESSURE  {document['metric']} of {document['subject']}; most is taken by {top}"
        case "cleaned":
            done = "removed" if document["removed"] else "would be removed"
            yield f"CLEANED   {document['files']} old files, {document['freed_bytes'] / 2**20:.1f} MiB, {done}"
        case "status":
            yield f"{document['level']}: {document['summary']}"
        case "lost":
            yield f"LOST      {document['reason']}"
        case _:
            yield f"{what}{suffix}"


def summary(snapshot: Snapshot, firing: int) -> str:
    """One line about everything."""
    worst = [s for s in snapshot.statuses if s.level in ("critical", "warning")]
    told = ", ".join(f"{s.metric} of {s.subject} {shown(s)}" for s in sorted(worst, key=lambda s: (s.level != "critical", s.subject))[:4])
    return f"{firing} alerts firing" + (f"; {told}" if told else "") + (f" and {len(worst) - 4} more" if len(worst) > 4 else "")


def shown(status: Status) -> str:
    """`97.2 %` of a ratio, `1.4 s`, `25 /s`."""
    if status.value is None:
        return "unknown"
    match status.unit:
        case "ratio":
            return f"{status.value * 100:.4g} %"
        case "s":
            return f"{status.value:.3g} s"
        case _:
            return f"{status.value:.3g}{' /s' if status.unit == 'per_s' else ''}"


def table(snapshot: Snapshot, kinds: Mapping[str, str]) -> Table:
    """Every service with its key metrics, and the machine."""
    drawn = Table(expand=True, box=None, pad_edge=False)
    columns = ("availability", "response_time", "throughput", "error_rate", "cpu", "memory", "disk")
    for name in ("service", "level", *(column.replace("_", " ") for column in columns)):
        drawn.add_column(name, justify="left" if name in ("service", "level") else "right")
    for subject in (*kinds, "client", HOST):
        statuses = {s.metric: s for s in snapshot.statuses if s.subject == subject}
        if not statuses:
            continue
        level = overall(statuses.values())
        cells = [f"[{_COLOURS[s.level]}]{shown(s)}[/]" if (s := statuses.get(column)) else "" for column in columns]
        drawn.add_row(subject, f"[{_COLOURS[level]}]{level}[/]", *cells)
    return drawn


def _clock_time(at: str) -> str:
    return datetime.fromisoformat(at).strftime("%H:%M:%S")
