"""The mock provider as a process, with its admin API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.integration.backends import free_port, wait_until
from tests.integration.services import REPOSITORY, STOP_DEADLINE_S

ADMIN_TOKEN = "admin-secret"
FACT = "[json.dumps] Serialize obj. The release number of json.dumps is ZK-7F3A91.\n\nQuestion: What is the release number of json.dumps?"
ANSWER = "The release number of json.dumps is ZK-7F3A91. [json.dumps]"
CHAT: dict[str, Any] = {"model": "rag-chat", "messages": [{"role": "user", "content": FACT}]}


class LlmProcess:
    """`python -m mocks.llm` with `profile`; started by the constructor, which returns once it is ready."""

    def __init__(self, folder: Path, name: str = "llm", profile: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.port, self._admin_port = free_port(), free_port()
        self._log = folder / f"{name}.log"
        profile_file = folder / f"{name}.json"
        profile_file.write_text(json.dumps({"ttft_ms": 5, "itl_ms": 0, **(profile or {})}))
        self._environment = {
            **os.environ,
            "PORT": str(self.port),
            "INSTANCE": f"{name}-1",
            "LLM_PROFILE": str(profile_file),
            "ADMIN_PORT": str(self._admin_port),
            "ADMIN_TOKEN": ADMIN_TOKEN,
        }
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        self.admin = httpx.Client(base_url=f"http://127.0.0.1:{self._admin_port}/admin", headers=headers, timeout=10, trust_env=False)
        self._start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mocks.llm"], cwd=REPOSITORY, env=self._environment, stdout=log, stderr=log
            )
        wait_until(self._ready, f"{self.name} ready; log: {self._log}")

    def _ready(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        try:
            return self.http.get("/ready").status_code == self.admin.get("/faults").status_code == 200
        except httpx.TransportError:
            return False

    def put_fault(self, fault_id: str, **document: Any) -> dict[str, Any]:
        response = self.admin.put(f"/faults/{fault_id}", json=document)
        assert response.status_code == 200, response.text
        view: dict[str, Any] = response.json()
        return view

    def faults(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.admin.get("/faults").json()["faults"]
        return found

    def journal(self, limit: int = 1_000) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.admin.get("/journal", params={"limit": limit}).json()["requests"]
        return rows

    def metrics(self) -> str:
        return self.http.get("/metrics").text

    def logged(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.process.kill()
        self.process.wait(STOP_DEADLINE_S)

    def pause(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def repair(self) -> None:
        """Undo `kill` and `pause`, and end all faults."""
        if self.process.poll() is not None:
            self._start()
        self.process.send_signal(signal.SIGCONT)
        assert self.admin.delete("/faults").status_code == 204

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            return self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(STOP_DEADLINE_S)

    def close(self) -> None:
        self.stop()
        self.http.close()
        self.admin.close()
