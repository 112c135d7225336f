"""Where a watch leaves what it knows: events, files of a folder, and an HTTP endpoint on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from prometheus_client import CollectorRegistry, Counter, Histogram, Summary, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from harness.ops.diagnosis.advice import Advice
from harness.ops.logs.rotation import RotatedLog
from harness.ops.monitoring.alerts import Alert
from harness.ops.operator import Operator
from harness.ops.recovery.controller import Done
from harness.ops.watching import documents
from harness.ops.watching.loop import Machine
from harness.ops.watching.monitor import Monitor, Snapshot
from harness.record.clock import WallAnchor, utc_now
from harness.scenario.units import duration_s

EVENTS = "events.jsonl"
WRITTEN_EVERY_S = 10.0
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Desk:
    """Gets documents from several threads and snapshots from one; gives documents to whoever asks."""

    def __init__(self, monitor: Monitor, machine: Machine, anchor: WallAnchor, dry_run: bool, out: Path | None = None) -> None:
        self._monitor, self._machine, self._anchor, self._dry_run = monitor, machine, anchor, dry_run
        self._out = out
        self._events = RotatedLog(out / EVENTS) if out is not None else None
        self._operator: Operator | None = None
        self._actions: tuple[Done, ...] = ()
        self._advice: tuple[Advice, ...] = ()
        self._trend = documents.AlertTrend()
        self._lock = threading.Lock()
        self._seen: tuple[Snapshot, tuple[Alert, ...]] | None = None
        self._since_s: float | None = None
        self._written_s = float("-inf")
        self.registry = CollectorRegistry()
        self._round_s = Histogram("watch_round_seconds", "Time that a round took", registry=self.registry)
        self._look_s = Summary("watch_look_seconds", "Time that a look at a service took", ["service"], registry=self.registry)
        self._alerts = Counter("watch_alerts", "Alerts that began to fire", ["severity"], registry=self.registry)
        self.registry.register(self)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)

    def attend(self, operator: Operator) -> None:
        """Whose actions and advice the documents tell, too."""
        self._operator = operator

    def event(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Date a document, count it, append it to the events; returns it with its date."""
        dated = {"at": utc_now().isoformat(), "dry_run": self._dry_run, **document}
        entries = document.get("body", {}).get("alerts", ()) if document["what"] == "alerts" else ()
        with self._lock:
            self._trend.take(entries, dated["at"])
            for entry in entries:
                if entry["status"] == "firing":
                    self._alerts.labels(entry["labels"]["severity"]).inc()
                else:
                    self._trend.resolved_after(_lasted_s(entry))
            if self._events is not None:
                self._events.append(json.dumps(dated, default=str))
        return dated

    def see(self, snapshot: Snapshot, firing: tuple[Alert, ...], took_s: float) -> None:
        """The newest snapshot. Files are written now and then, each as a whole."""
        self._round_s.observe(took_s)
        for reading in snapshot.readings.values():
            if reading.name == "look_time":
                self._look_s.labels(reading.subject).observe(reading.value)
        with self._lock:
            self._seen = snapshot, firing
            self._since_s = snapshot.t_s if self._since_s is None else self._since_s
            if self._operator is not None and snapshot.t_s - self._written_s >= WRITTEN_EVERY_S:
                self._actions, self._advice = self._operator.history, self._operator.advice()
        if snapshot.t_s - self._written_s >= WRITTEN_EVERY_S:
            self._written_s = snapshot.t_s
            self.write()

    def write(self) -> None:
        """status.json, dashboard.json and performance.json, where there is a folder and something was seen."""
        if self._out is None or self._seen is None:
            return
        for name in ("status", "dashboard", "performance"):
            part = self._out / f".{name}.part"
            part.write_text(json.dumps(self.document(name), indent=2), encoding="utf-8")
            part.replace(self._out / f"{name}.json")

    def document(self, name: str) -> dict[str, Any]:
        """`status`, `dashboard` or `performance`. Raises KeyError for another one."""
        with self._lock:
            if self._seen is None or self._since_s is None:
                return {"level": "unknown", "reason": "the first round is under way"}
            snapshot, firing = self._seen
            match name:
                case "status":
                    logs = self._machine.logs
                    told = {"errors": logs.newest_errors(), "log_entries_dropped": logs.streams.dropped()}
                    done = {"actions": documents.actions(self._actions, self._anchor)}
                    return documents.status(snapshot, firing, self._anchor) | told | done
                case "dashboard":
                    drifts = {"drifts": [documents.drift(d, self._anchor) for d in self._monitor.drifts]}
                    return documents.dashboard(snapshot, firing, self._monitor.history, self._trend, self._anchor) | drifts
                case "performance":
                    report = documents.performance(self._monitor.history, snapshot.statuses, snapshot.t_s, self._since_s, self._anchor)
                    return report | {"advice": [asdict(one) for one in self._advice]}
        raise KeyError(name)

    def metrics(self) -> list[dict[str, Any]]:
        """What Prometheus is told, as JSON."""
        return [
            {
                "name": family.name,
                "type": family.type,
                "help": family.documentation,
                "samples": [{"name": s.name, "labels": s.labels, "value": s.value} for s in family.samples],
            }
            for family in self.registry.collect()
        ]

    def history(self, key: str, window_s: float = documents.DASHBOARD_WINDOW_S) -> dict[str, Any]:
        """The last hour, or another window, of one reading, and its summary; without a key, which there are. Raises KeyError."""
        with self._lock:
            if not key:
                return {"keys": list(self._monitor.history.keys())}
            t_s = self._seen[0].t_s if self._seen else 0.0
            return documents.history(key, self._monitor.history[key], t_s, window_s, self._anchor)

    def collect(self) -> list[Metric]:
        """For Prometheus: the machine, and every reading as a gauge."""
        readings = GaugeMetricFamily("watch_reading", "What was read last", labels=["subject", "name"])
        with self._lock:
            seen = self._seen[0].readings if self._seen else {}
        for reading in seen.values():
            readings.add_metric([reading.subject, reading.name], reading.value)
        return [readings, *self._machine.host.collect(), *self._machine.instances.collect(), *self._machine.gpus.collect()]

    def describe(self) -> list[Metric]:
        """Nothing yet: what there will be is known when it is collected."""
        return []


def _lasted_s(entry: Mapping[str, Any]) -> float:
    return (datetime.fromisoformat(entry["endsAt"]) - datetime.fromisoformat(entry["startsAt"])).total_seconds()


PATHS = ("/metrics", "/metrics.json", "/status", "/dashboard", "/performance", "/history", "/history/SUBJECT/READING")


class Listener:
    """`/metrics` for Prometheus; the other `PATHS` are JSON. On the loopback address only."""

    def __init__(self, desk: Desk, port: int) -> None:
        """Raises OSError where the port is taken."""

        class Handler(_Handler):
            answer = staticmethod(lambda path: _answer(desk, path))

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="listener", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Waits for the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _answer(desk: Desk, target: str) -> tuple[int, str, bytes]:
    path, _, query = target.partition("?")
    if path == "/metrics":
        return 200, CONTENT_TYPE, generate_latest(desk.registry)
    try:
        return 200, "application/json", json.dumps(_document(desk, path, query)).encode()
    except ValueError as error:
        return 400, "application/json", json.dumps({"error": f"window: {error}"}).encode()
    except KeyError:
        return 404, "application/json", json.dumps({"error": f"there is {', '.join(PATHS)}"}).encode()


def _document(desk: Desk, path: str, query: str) -> Any:
    """Raises KeyError, and ValueError for a window that is no duration."""
    if path == "/metrics.json":
        return desk.metrics()
    if path == "/history" or path.startswith("/history/"):
        window = parse_qs(query).get("window", ["1h"])[-1]
        return desk.history(unquote(path.removeprefix("/history").lstrip("/")), duration_s(window))
    return desk.document(path.lstrip("/"))


class _Handler(BaseHTTPRequestHandler):
    answer: Callable[[str], tuple[int, str, bytes]]

    def do_GET(self) -> None:
        status, content_type, body = self.answer(self.path)
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Whoever scrapes every second is no news."""
