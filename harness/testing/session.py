"""What the tests of one process share: options, mocks, the stack, and runs of scenarios."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.testing.mocks import Mock
from harness.testing.running import PASSED, ScenarioRun, carry_out
from harness.testing.stack import StackProcess, Wanted

if TYPE_CHECKING:
    from harness.scenario.model import Driver

DRIVERS: tuple[Driver, ...] = ("processes", "containers", "swarm", "kubernetes")
SHARED = "gauntlet_shared"
"""Key of a worker's input: a directory of the whole session of pytest-xdist."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for: see the `--gauntlet-*` options."""

    root: Path
    out: Path
    stack: str | None
    seed: int | None
    baseline: str | None
    keep: str
    strict: bool
    llm_profile: str | None
    shared: Path | None

    @classmethod
    def of(cls, config: pytest.Config) -> Options:
        given = {
            name: config.getoption(f"gauntlet_{name}") for name in ("out", "stack", "seed", "baseline", "keep", "strict", "llm_profile")
        }
        worker: Mapping[str, Any] = getattr(config, "workerinput", {})
        shared = Path(worker[SHARED]) if SHARED in worker else None
        out = config.rootpath / given.pop("out")
        return cls(root=config.rootpath, out=out, shared=shared, **given)

    @property
    def driver(self) -> Driver | None:
        return next((driver for driver in DRIVERS if driver == self.stack), None)

    def located(self, file: str | Path) -> Path:
        """A path as written in tests and on the command line: from the root directory of the tests. It need not exist."""
        path = self.root / file
        return path if path.exists() else Path(file).absolute()

    def of_run(self, seed: int | None, stack: str | None, baseline: str | Path | None) -> list[str]:
        """Options of `gauntlet run`; what a test asks for goes before what the command line does."""
        asked: dict[str, object] = {
            "--out": self.out,
            "--seed": self.seed if seed is None else seed,
            "--stack": stack or self.driver,
            "--baseline": baseline or self.baseline,
        }
        words = [word for name, value in asked.items() if value is not None for word in (name, str(value))]
        return [*words, "--strict"] if self.strict else words


@dataclass(slots=True)
class Session:
    """One process of tests: a session of its own, or one worker of several."""

    options: Options
    _mocks: dict[str, Mock] = field(default_factory=dict)
    _stack: StackProcess | None = None
    _runs: dict[Path, ScenarioRun] = field(default_factory=dict)

    def mock(self, kind: str) -> Mock:
        """The mock of that kind (llm, qdrant, chroma), started when it is first used."""
        if kind not in self._mocks:
            named = self.options.llm_profile if kind == "llm" else None
            self._mocks[kind] = Mock(kind, self.options.seed, self.options.located(named) if named else None)
        return self._mocks[kind]

    def stack(self, scenario: str | None = None) -> StackProcess:
        """The stack of a scenario, else that of `--gauntlet-stack`, else the reference stack. One stands at a time."""
        named = scenario or (self.options.stack if self.options.driver is None else None)
        wanted = Wanted(self.options.located(named) if named else None, self.options.driver, self.options.seed or 1)
        if self._stack is not None and not (self._stack.alive and self._stack.wanted == wanted):
            self._stack.stop()
            self._stack = None
        if self._stack is None:
            self._stack = StackProcess(wanted, self.options.root)
        return self._stack

    def run(
        self, file: str | Path, *, seed: int | None = None, stack: str | None = None, baseline: str | Path | None = None
    ) -> ScenarioRun:
        """Carry a scenario out, now."""
        done = carry_out(self.options.located(file), self.options.of_run(seed, stack, baseline), self.options.root)
        if done.exit_code == PASSED and self.options.keep == "failed" and done.run_dir is not None:
            shutil.rmtree(done.run_dir, ignore_errors=True)
        return done

    def run_once(self, file: Path) -> ScenarioRun:
        """Carry a scenario out once for all of its checks, whichever worker has them; the others wait for the one that is first."""
        if file not in self._runs:
            self._runs[file] = self.run(file) if self.options.shared is None else self._run_once_of_all(file, self.options.shared)
        return self._runs[file]

    def _run_once_of_all(self, file: Path, shared: Path) -> ScenarioRun:
        result = shared / f"{sha256(str(file).encode()).hexdigest()}.json"
        with result.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go by the kernel where a worker dies: the next one then does it
            if not result.exists():
                done = self.run(file)
                part = result.with_suffix(".part")
                part.write_text(json.dumps([done.file, done.exit_code, done.document, done.log]), encoding="utf-8")
                part.replace(result)
            return ScenarioRun(*json.loads(result.read_text(encoding="utf-8")))

    def close(self) -> None:
        """End whatever was started."""
        for mock in self._mocks.values():
            mock.stop()
        if self._stack is not None:
            self._stack.stop()
