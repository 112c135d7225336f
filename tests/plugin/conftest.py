"""Sessions of pytest of their own, as a user of the plug-in has them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).resolve().parents[2]
RELEASES = ROOT / ".pytests"
"""Where `pipelines/pytests` has put other releases of pytest."""

ASK = '''
import http.client, json, os
from urllib.parse import urlsplit

def ask(text="hi"):
    """As any client of OpenAI's API does."""
    url = urlsplit(os.environ["OPENAI_BASE_URL"])
    client = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]})
    client.request("POST", f"{url.path}/chat/completions", body, {"content-type": "application/json", "user-agent": "app"})
    status = client.getresponse().status
    client.close()
    return status
'''

Session = Callable[..., pytest.RunResult]


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Runs pytest on files: `session("-n2", test_a="…", files={"a.gauntlet.yaml": "…"})`; `release`: with that pytest instead of ours."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, release: str | None = None, files: dict[str, str] | None = None, **modules: str) -> pytest.RunResult:
        pytester.makepyfile(asking=ASK, **modules)
        for name, text in (files or {}).items():
            (pytester.path / name).write_text(text, encoding="utf-8")
        path = [str(ROOT), *([str(RELEASES / release)] if release else []), str(pytester.path)]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(reversed(path)))
        return pytester.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *arguments, timeout=280)

    return run


@pytest.fixture
def service() -> Iterator[str]:
    """The URL of a service that always answers."""

    class Fine(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Fine)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
