"""Services of the reference stack as processes, and stand-ins for the services behind them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.backends import free_port, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
STOP_DEADLINE_S = 30.0


@dataclass(frozen=True)
class Reply:
    """What a stand-in answers: one body, or chunks sent one by one; `cut` breaks the connection off after them."""

    body: Any = None
    status: int = 200
    chunks: Iterable[bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


Answer = Callable[[dict[str, Any]], Reply]


class _QuietServer(ThreadingHTTPServer):
    """Says nothing about clients that hang up."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class StandIn:
    """An HTTP service whose answers the test decides, route by route; `seen` holds the bodies it got."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)
        self.seen: list[dict[str, Any]] = []
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # header and body are two writes: with it each answer would take 40 ms

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                stand_in.seen.append(body)
                reply = stand_in.answers[self.path](body)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.chunks is None:
                    self._whole(json.dumps(reply.body).encode())
                else:
                    self._chunked(reply.chunks, reply.cut)

            def _whole(self, body: bytes) -> None:
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _chunked(self, chunks: Iterable[bytes], cut: bool) -> None:
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for chunk in chunks:
                    self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                    self.wfile.flush()
                if not cut:
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = cut

            def log_message(self, format: str, *args: Any) -> None:
                """Tests read `seen`."""

        return Handler


def write_registry(path: Path, services: Mapping[str, Iterable[str]], settings: Mapping[str, Any] | None = None, revision: int = 1) -> Path:
    """A registry file with the URLs of each service, replaced atomically."""
    listed = {
        service: [{"name": f"{service}-{number}", "url": url, "weight": 1} for number, url in enumerate(urls, start=1)]
        for service, urls in services.items()
    }
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps({"revision": revision, "services": listed, "settings": dict(settings or {})}))
    aside.rename(path)
    return path


class ServiceProcess:
    """`python -m mocks.rag.<service>`, or another `module` with its arguments, on a port of its own."""

    def __init__(self, service: str, environment: Mapping[str, str], log: Path, module: Sequence[str] = ()) -> None:
        self.service = service
        self._module = module or (f"mocks.rag.{service}",)
        self.port = free_port()
        self.log = log
        self._environment = {
            **os.environ,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "INSTANCE": f"{service}-1",
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, route: str = "/ready") -> None:
        """Returns once `route` answers 200."""
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", *self._module]
            self._process = subprocess.Popen(command, cwd=REPOSITORY, env=self._environment, stdout=log, stderr=log)
        wait_until(lambda: self._answers(route), f"{self.service} {route}; log: {self.log}")

    def _answers(self, route: str) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log.read_text()
        try:
            return self.http.get(route).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def running(self) -> bool:
        return self._process is not None

    def send(self, number: signal.Signals) -> None:
        """To the running process."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int | None:
        """SIGTERM; the exit code, None where it was not running."""
        return self._end(signal.SIGTERM)

    def close(self) -> None:
        self.stop()
        self.http.close()

    def _end(self, number: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(number)
        try:
            return process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(STOP_DEADLINE_S)

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of `name` whose labels include `labels`."""
        families = text_string_to_metric_families(self.http.get("/metrics").text)
        samples = (sample for family in families for sample in family.samples)
        return sum(sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items())
