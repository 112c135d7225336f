"""A real Prometheus and its promtool, as `pipelines/prometheus` unpacks them; tests are skipped, with the reason, where there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running_stack import until
from tests.integration.backends import free_port

ROOT = Path(__file__).resolve().parents[2]
STARTS_WITHIN_S = 60.0

Labels = tuple[tuple[str, str], ...]
Points = Mapping[Labels, list[tuple[int, float]]]  # milliseconds, value


def program(name: str) -> str:
    """Path of `prometheus` or `promtool`."""
    found = shutil.which(name, path=str(ROOT / ".prometheus/usr/bin")) or shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: pipelines/prometheus unpacks it")
    return found


@dataclass(frozen=True)
class Refused:
    """What the server would not evaluate, in its words."""

    why: str


@dataclass(frozen=True)
class Prometheus:
    """A server with a set of samples."""

    url: str

    def query(self, expression: str, t_ms: int) -> dict[Labels, float] | float | Refused:
        """An instant query: a vector by labels, or a scalar."""
        asked = urllib.parse.urlencode({"query": expression, "time": f"{t_ms / 1000:.3f}"})
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query?{asked}", timeout=10) as answer:
                data = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                return Refused(str(json.load(error)["error"]))
        if data["resultType"] == "scalar":
            return float(data["result"][1])
        return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in data["result"]}


@contextmanager
def serving(points: Points, directory: Path) -> Iterator[Prometheus]:
    """Prometheus over these points, on a port of its own, until the end of the block."""
    source = directory / "points.txt"
    source.write_text(_openmetrics(points), encoding="utf-8")
    _run([program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(source), str(directory / "data")])
    (directory / "prometheus.yml").write_text("{}", encoding="utf-8")
    port = free_port()
    argv = [
        program("prometheus"),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: _ready(url) or process.poll() is not None, STARTS_WITHIN_S)
            assert process.poll() is None, (directory / "log").read_text(encoding="utf-8")
            yield Prometheus(url)
        finally:
            process.terminate()
            process.wait(60)


def check_rules(document: Mapping[str, Any], directory: Path) -> str:
    """`promtool test rules` on a test file; returns what it says, empty where all is as expected."""
    path = directory / "rules.test.json"  # YAML's younger sibling
    path.write_text(json.dumps(document), encoding="utf-8")
    done = subprocess.run([program("promtool"), "test", "rules", str(path)], capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _ready(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=1) as answer:
        return bool(answer.status == 200)
    return False


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _openmetrics(points: Points) -> str:
    """In any order of time within a series, and with the series of one name together, as the format wants it."""
    lines: list[str] = []
    for labels, series in sorted(points.items(), key=lambda item: dict(item[0])["__name__"]):
        name = dict(labels)["__name__"]
        inside = ",".join(f'{k}="{v}"' for k, v in labels if k != "__name__")
        lines += [f"{name}{{{inside}}} {value!r} {t_ms / 1000:.3f}" for t_ms, value in series]
    return "\n".join([*lines, "# EOF", ""])
