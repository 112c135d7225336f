"""The gate of docs/tutorial.md as its reader sees it: the files and commands of the page, on ports that are free."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.stack.ports import free_ports
from tests.e2e.live_run import ROOT, environment

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.skipif("GAUNTLET_NIGHTLY" not in os.environ, reason="takes two minutes: pipelines/nightly/tutorial"),
]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8").split("## The whole loop")[0]


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [text for written_in, text in found if written_in == language]


class Reader:
    """Types what the page says, in a folder of its own, in one shell for each block; what a block leaves in the background is ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports = dict(zip(("8000", "8080", "8081"), map(str, free_ports(3)), strict=True))
        self._background: list[subprocess.Popen[bytes]] = []
        (exports,) = (line for block in blocks("") for line in block.splitlines() if line.startswith("export "))
        self._env = environment(folder) | dict(word.split("=", 1) for word in self.here(exports).split()[1:])
        bin_ = folder / "bin"
        bin_.mkdir()
        for name, command in (("gauntlet", f"{sys.executable} -m harness.cli"), ("python3", sys.executable)):
            (bin_ / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (bin_ / name).chmod(0o755)
        self._env["PATH"] = f"{bin_}{os.pathsep}{self._env['PATH']}"

    def here(self, text: str) -> str:
        return re.sub(r"\b(8000|8080|8081)\b", lambda found: self._ports[found[0]], text)

    def save(self, name: str, text: str) -> None:
        (self.folder / name).write_text(self.here(text), encoding="utf-8")

    def begin(self, command: str) -> subprocess.Popen[bytes]:
        """One that is put in the background."""
        words = self.here(command).partition(" & ")[0]
        started = subprocess.Popen(["bash", "-c", f"exec {words}"], cwd=self.folder, env=self._env, start_new_session=True)
        self._background.append(started)
        return started

    def run(self, command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", self.here(command)], cwd=self.folder, env=self._env, capture_output=True, text=True, timeout=180, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def judged(self, command: str) -> tuple[int, str]:
        """As `run`; a machine that cannot even send the load in time is no ground to judge a page on, as the verdict says itself."""
        code, said = self.run(command)
        if code == 3 and "the generator sent late" in said:
            pytest.skip("this machine is too busy to send 20 requests a second in time")
        return code, said

    def served(self) -> None:
        """The page's own question gets the page's answer; it waits for a service that is not up yet."""
        code, said = self.run(command("curl"))
        assert (code, said.strip()) == (0, blocks("text")[0].strip()), (self.folder / "app.log").read_text()

    def leave(self) -> None:
        for started in self._background:
            started.send_signal(signal.SIGTERM)
            started.wait(timeout=30)


def command(start: str) -> str:
    """The line of the page that begins so."""
    return next(line for block in blocks("") for line in block.splitlines() if line.startswith(start))


def test_the_gate_fails_for_the_reason_that_the_page_gives_and_passes_with_the_fix(tmp_path: Path) -> None:
    app, fix = blocks("python")
    (gate,) = blocks("yaml")
    wrong, right = (text for text in blocks("text") if text.startswith(("FAIL", "PASS")))
    reader = Reader(tmp_path)
    try:
        reader.save("app.py", app)
        reader.save("gate.yaml", gate)
        reader.begin(command("gauntlet mock llm"))
        app_process = reader.begin(command("python3 app.py"))
        reader.served()
        code, said = reader.judged(command("gauntlet check gate.yaml"))
        assert code == 1, said
        assert wrong.split(": ")[:3] == next(line for line in said.splitlines() if line.startswith("FAIL")).split(": ")[:3]
        assert "PASS validity.fault.limited" in said

        app_process.terminate()
        app_process.wait(timeout=30)
        reader.save("app.py", re.sub(r"def complete\(.*?\n(?=\n\nclass)", lambda _: fix, app, flags=re.DOTALL))
        reader.begin(command("python3 app.py"))
        reader.served()
        code, said = reader.judged("gauntlet run gate.yaml")
        assert code == 0, said
        assert right.strip() in said
    finally:
        reader.leave()
