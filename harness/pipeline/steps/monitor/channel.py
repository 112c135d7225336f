"""A webhook on loopback, as Alertmanager calls one, that writes down what arrives; and what follows from what arrived."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.record.clock import NS_PER_S, Clock
from harness.score.check import Status

_BODY_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Notified:
    """One alert of one notification. `t_ns` is the receipt (monotonic)."""

    t_ns: int
    status: str  # firing or resolved
    alert: str
    labels: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {"t_ns": self.t_ns, "status": self.status, "alert": self.alert, "labels": dict(self.labels)}


class Channel:
    """What has arrived, in order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: list[Notified] = []
        self.url = ""

    @property
    def seen(self) -> Sequence[Notified]:
        with self._lock:
            return tuple(self._seen)

    def take(self, body: bytes) -> None:
        """Raises ValueError for what is no notification."""
        document = json.loads(body)
        now_ns = self._clock.now_ns()
        alerts = document.get("alerts") if isinstance(document, dict) else None
        if not isinstance(alerts, list):
            raise ValueError("no notification of alerts")
        found = [
            Notified(now_ns, str(a.get("status")), str(a["labels"].get("alertname")), {str(k): str(v) for k, v in a["labels"].items()})
            for a in alerts
            if isinstance(a, dict) and isinstance(a.get("labels"), dict)
        ]
        with self._lock:
            self._seen.extend(found)


@contextmanager
def opened(clock: Clock) -> Iterator[Channel]:
    """Listening on a free port."""
    channel = Channel(clock)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = min(int(self.headers.get("content-length") or 0), _BODY_BYTES_MAX)
            try:
                channel.take(self.rfile.read(length))
                status = 200
            except (ValueError, AttributeError):
                status = 400
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    channel.url = f"http://127.0.0.1:{server.server_port}/alerts"
    thread = threading.Thread(target=server.serve_forever, name="channel", daemon=True)
    thread.start()
    try:
        yield channel
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)


def proved(
    seen: Sequence[Notified], names: frozenset[str], onset_ns: int | None, healed_ns: int | None, within_s: float
) -> tuple[Status, str]:
    """Whether one of these alerts reached the channel in time after the onset, was not there before, and was taken back after the heal."""
    if onset_ns is None or healed_ns is None:
        return Status.INCONCLUSIVE, "the fault did not bite, or is not healed: whether its alert comes was not tried"
    wanted = [one for one in seen if one.alert in names]
    early = [one for one in wanted if one.status == "firing" and one.t_ns < onset_ns]
    if early:
        return Status.FAIL, f"{early[0].alert} fired before anything was broken"
    fired = [one for one in wanted if one.status == "firing"]
    if not fired:
        others = ", ".join(sorted({one.alert for one in seen})) or "none"
        return Status.FAIL, f"{', '.join(sorted(names))} did not reach its channel; alerts that did: {others}"
    took_s = (fired[0].t_ns - onset_ns) / NS_PER_S
    if took_s > within_s:
        return Status.FAIL, f"{fired[0].alert} reached its channel after {took_s:.1f}s, later than {within_s:g}s"
    resolved = [one for one in wanted if one.status == "resolved" and one.labels == fired[0].labels and one.t_ns > fired[0].t_ns]
    if not resolved:
        return Status.FAIL, f"{fired[0].alert} reached its channel after {took_s:.1f}s, and was never resolved after the heal"
    back_s = (resolved[-1].t_ns - healed_ns) / NS_PER_S
    return Status.PASS, f"{fired[0].alert} reached its channel {took_s:.1f}s after the onset, and was resolved {back_s:.1f}s after the heal"
