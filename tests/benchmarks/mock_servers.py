"""The servers that the benchmark of mocks compares, each on a port of its own and pinned to one core."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".peers"
TOKENS = 64
SERVER_CORE, CLIENT_CORE = 0, 1
START_DEADLINE_S = 60.0
CHAT: dict[str, Any] = {
    "model": "rag-chat",
    "messages": [{"role": "user", "content": "Say something about retrieval 0000000."}],
    "max_tokens": TOKENS,
}


@dataclass(frozen=True)
class Timing:
    """How a server is to pace its streams; zeros mean as fast as it can."""

    ttft_ms: float = 0.0
    itl_ms: float = 0.0


@dataclass(frozen=True)
class Kind:
    """One server: how it is started, and where it answers what (None: it has no such thing)."""

    name: str
    command: Callable[[int, Timing, Path], list[str]]
    environment: Callable[[int, Timing, Path], Mapping[str, str]] = lambda port, timing, folder: {}
    whole: str | None = "/v1/chat/completions"
    stream: str | None = "/v1/chat/completions"
    embedding: str | None = "/v1/embeddings"
    needs: Path | None = None
    marker: str = '"content":'
    """What every event with text holds once."""
    paced: bool = True


def _ours(port: int, timing: Timing, folder: Path) -> dict[str, str]:
    profile = folder / f"profile-{port}.json"
    document = {
        "ttft_ms": timing.ttft_ms,
        "itl_ms": timing.itl_ms,
        "embedding_dimensions": 1536,
        "answers": {"strategy": "echo", "tokens": TOKENS},
    }
    profile.write_text(json.dumps(document))
    return {"PORT": str(port), "LLM_PROFILE": str(profile), "LOG_LEVEL": "warning"}


def _aimock(port: int, timing: Timing, folder: Path) -> list[str]:
    fixture: dict[str, Any] = {"match": {"userMessage": "retrieval"}, "response": {"content": "word" * TOKENS}, "chunkSize": 4}
    if timing.itl_ms:
        fixture["streamingProfile"] = {"ttft": timing.ttft_ms, "tps": 1_000 / timing.itl_ms}
    path = folder / f"aimock-{port}.json"
    path.write_text(json.dumps({"fixtures": [fixture]}))
    return ["node", str(PEERS / "aimock/node_modules/.bin/llmock"), "--port", str(port), "--fixtures", str(path), "--log-level", "silent"]


def _llmock(port: int, timing: Timing, folder: Path) -> list[str]:
    pace = ["--stream-chunk-delay-ms", str(round(timing.itl_ms))] if timing.itl_ms else []
    return [str(PEERS / "llmock/bin/llmock"), "serve", "--host", "127.0.0.1", "--port", str(port), "--log-level", "error", *pace]


def _guidellm(port: int, timing: Timing, folder: Path) -> list[str]:
    pace = ["--ttft-ms", str(timing.ttft_ms), "--itl-ms", str(timing.itl_ms), "--request-latency", "0"]
    command = [str(PEERS / "guidellm/bin/guidellm"), "mock-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return [*command, "--model", "rag-chat", "--output-tokens", str(TOKENS), *pace]


def _uvicorn(port: int, timing: Timing, folder: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "uvicorn",
        "tests.benchmarks.baselines:app",
        "--port",
        str(port),
        "--log-level",
        "warning",
        "--no-access-log",
    ]


KINDS = (
    Kind("gauntlet", lambda port, timing, folder: [sys.executable, "-m", "mocks.llm"], _ours),
    Kind("starlette", _uvicorn, whole="/hello", stream="/stream", embedding="/embedding", paced=False),
    Kind("aimock", _aimock, needs=PEERS / "aimock/node_modules"),
    Kind("llmock", _llmock, needs=PEERS / "llmock/bin/llmock"),
    Kind("guidellm", _guidellm, needs=PEERS / "guidellm/bin/guidellm", embedding=None),
)


@dataclass
class Running:
    """A started server."""

    kind: Kind
    port: int
    process: subprocess.Popen[bytes]
    log: Path = field(repr=False)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def rss_mb(self) -> float:
        """Of the process and those it has started."""
        one = psutil.Process(self.process.pid)
        return sum(p.memory_info().rss for p in (one, *one.children(recursive=True))) / 1e6

    def stop(self) -> None:
        tree = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        for left in tree:
            if left.is_running():
                left.kill()


def start(kind: Kind, timing: Timing, folder: Path) -> Running:
    """Start a server and wait until it listens. Raises RuntimeError with the end of its log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    log = folder / f"{kind.name}-{port}.log"
    environment = {**os.environ, "TOKENS": str(TOKENS), **kind.environment(port, timing, folder)}
    with log.open("wb") as out:
        command = ["taskset", "-c", str(SERVER_CORE), *kind.command(port, timing, folder)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
    running = Running(kind, port, process, log)
    end_s = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < end_s and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return running
        time.sleep(0.1)
    running.stop()
    raise RuntimeError(f"{kind.name} did not start; the end of its log:\n{log.read_text()[-500:]}")


def load(job: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Run the load client on the other core; its JSON line."""
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    command = ["taskset", "-c", str(CLIENT_CORE), sys.executable, "-m", "tests.benchmarks.http_load", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-500:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found
