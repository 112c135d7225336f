"""The whole embedded stack, once: it starts, serves, suffers every actuation, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from harness.cgroups import groups_of
from harness.faults.cleanup import TornDown, tear_down
from harness.faults.lease_files import Holder
from harness.record.clock import SystemClock
from harness.stack.base import StackError
from harness.stack.processes import ProcessStack
from harness.sweep import processes_of
from tests.e2e.running_stack import DOCUMENTS, Running, options, started, until

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

PROJECT = Path(__file__).parents[2]
PROXIED = frozenset({("retrieval", "postgres"), ("generation", "llm")})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    chosen = options(tmp_path_factory.mktemp("logs"), proxied_edges=PROXIED)
    with started(ProcessStack(chosen), chosen) as running:
        yield running
    assert processes_of(chosen.run_id, chosen.work_dir) == []
    assert groups_of(chosen.run_id) == []
    assert not chosen.work_dir.exists()


def test_every_process_is_found_by_the_sweep_and_none_listens_beyond_loopback(running: Running) -> None:
    found = {entry.pid for entry in processes_of(running.options.run_id, running.options.work_dir)}
    named = [i for service in running.stack.info.services for i in running.stack.instances(service)]
    assert {i.pid for i in named} <= found
    listening = [c.laddr for pid in found for c in psutil.Process(pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert len(listening) >= len(named) and {address.ip for address in listening} == {"127.0.0.1"}


def test_a_start_that_fails_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    chosen = options(tmp_path / "logs", corpus=tmp_path / "empty")
    stack = ProcessStack(chosen)
    with pytest.raises(StackError, match=r"(?s)the corpus failed: exit status 2.*corpus: "):
        stack.start()
    assert processes_of(chosen.run_id, chosen.work_dir) == []
    assert groups_of(chosen.run_id) == []
    assert not chosen.work_dir.exists()


def test_stopping_in_the_middle_of_a_start_leaves_nothing(tmp_path: Path) -> None:
    chosen = options(tmp_path / "logs")
    stack = ProcessStack(chosen)
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(stack.start)
        until(lambda: len(processes_of(chosen.run_id, chosen.work_dir)) >= 3)
        stack.stop()
        with pytest.raises(StackError):
            start.result(60)
    assert processes_of(chosen.run_id, chosen.work_dir) == []
    assert groups_of(chosen.run_id) == []
    assert not chosen.work_dir.exists()


def test_after_kill_9_of_the_harness_the_sweep_ends_everything(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from harness.stack.options import StackOptions\n"
        "from harness.stack.processes import ProcessStack\n"
        "run_id, work, logs = sys.argv[1:]\n"
        f"stack = ProcessStack(StackOptions(run_id, Path(work), Path(logs), documents={DOCUMENTS}))\n"
        "stack.start(); stack.set_paused('retrieval-1', True); print('up', flush=True); sys.stdin.read()"
    )
    chosen = options(tmp_path / "logs")

    def sweep() -> TornDown:
        return tear_down(Holder(chosen.run_id, harness.pid, 0.0, chosen.work_dir, None), SystemClock())

    harness = subprocess.Popen(
        [sys.executable, "-c", script, chosen.run_id, str(chosen.work_dir), str(chosen.logs_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    try:
        assert harness.stdout is not None and harness.stdout.readline() == b"up\n"
        os.kill(harness.pid, signal.SIGKILL)
        harness.wait(60)
        assert len(processes_of(chosen.run_id, chosen.work_dir)) >= 13
        assert sweep().complete
        assert processes_of(chosen.run_id, chosen.work_dir) == []
        assert groups_of(chosen.run_id) == []
        assert not chosen.work_dir.exists()
    finally:
        harness.kill()
        harness.communicate()
        sweep()
