"""A clock that waits for nobody, and a small real service for the tests of what supervises services."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from harness.stack import http_probe
from harness.stack.child import Child, Command
from harness.stack.supervise import Member


class FakeClock:
    """Sleeping moves it forward."""

    def __init__(self) -> None:
        self.t_ns = 0

    def now_ns(self) -> int:
        return self.t_ns

    def sleep(self, duration_s: float) -> None:
        self.t_ns += int(duration_s * 1e9)


SERVICE = """
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"rag_requests_in_progress 0.0\\n" if self.path == "/metrics" else os.environ["VERSION"].encode()
        self.send_response(503 if os.environ["VERSION"] == "never-ready" else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass

if os.environ["VERSION"] == "broken":
    sys.exit("this version cannot start")
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


class SmallService:
    """A `Launch` whose members say their version on every path, in one Python process each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.started = 0

    def start(self, member: Member) -> Child:
        self.started += 1
        environment = {"PATH": os.defpath, "PORT": str(member.port), "VERSION": member.version}
        return Child(Command((sys.executable, "-S", "-c", SERVICE), environment, self._folder, self._folder / f"{member.name}.log"))

    def url(self, service: str, port: int) -> str:
        return f"http://127.0.0.1:{port}"

    def inside_url(self, member: Member) -> str:
        return self.url(member.service, member.port)

    def probe(self, service: str, url: str) -> str | None:
        return http_probe.ready(url)
