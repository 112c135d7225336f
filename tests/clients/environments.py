"""Running a script of `calls/` in an environment of real clients (pipelines/clients makes those)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CALLS = Path(__file__).parent / "calls"
# Clients that would phone home, or warn of a machine without certificates, are told not to.
QUIET = {"ANONYMIZED_TELEMETRY": "False", "LANGSMITH_TRACING": "false", "TOKENIZERS_PARALLELISM": "false", "NO_PROXY": "*", "no_proxy": "*"}


def python_of(environment: str) -> Path:
    """The environment's interpreter; skips the test where it has not been made."""
    folder = ROOT / ".clients" / environment
    if not (folder / ".installed").exists():
        pytest.skip(f"no environment .clients/{environment}: pipelines/clients makes it")
    return folder / "bin" / "python"


def call(environment: str, script: str, arguments: dict[str, Any], timeout_s: float = 100.0) -> dict[str, Any]:
    """What `calls/<script>.py` prints, a JSON object, when it is given `arguments` as JSON."""
    command = [str(python_of(environment)), str(CALLS / f"{script}.py"), json.dumps(arguments)]
    inherited = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy") and key != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, env={**inherited, **QUIET}, cwd=CALLS)
    assert done.returncode == 0, f"{environment}: {script}.py failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
