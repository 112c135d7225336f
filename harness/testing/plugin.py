"""The pytest plug-in (entry point `pytest11`): see docs/pytest.md.

Every session of pytest on a machine that has this package loads it, so it imports nothing but itself until a fixture is used.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.testing.injection import FAULTS_OF, InForce, MockFault, StackFault, checked
from harness.testing.mocks import Mock
from harness.testing.proof import InconclusiveError
from harness.testing.running import ScenarioRun
from harness.testing.scenario_items import SESSION, ScenarioFile
from harness.testing.session import DRIVERS, SHARED, Options, Session
from harness.testing.stack import StackProcess

SUFFIXES = (".gauntlet.yaml", ".gauntlet.yml")
MARKER = "gauntlet(stack=FILE): the stack of this scenario for gauntlet_stack and inject"
_SHARED: pytest.StashKey[Path] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gauntlet", "rag-gauntlet")
    group.addoption(
        "--gauntlet-scenario", dest="gauntlet_scenarios", action="append", default=[], metavar="FILE", help="One test for each check of it."
    )
    group.addoption("--gauntlet-out", default="runs", metavar="DIR", help="Where run records are kept, from the root directory.")
    group.addoption("--gauntlet-stack", metavar="DRIVER|FILE", help=f"{', '.join(DRIVERS)}; or the scenario whose stack gauntlet_stack is.")
    group.addoption("--gauntlet-seed", type=int, metavar="N", help="Of runs, mocks and stacks, instead of their own.")
    group.addoption("--gauntlet-llm-profile", metavar="FILE", help="What the mock LLM provider serves, and how fast (docs/mock-llm.md).")
    group.addoption("--gauntlet-baseline", metavar="RUN", help="What runs are compared with.")
    group.addoption("--gauntlet-keep", choices=("all", "failed"), default="all", help="Records of which runs are kept.")
    group.addoption("--gauntlet-strict", action="store_true", help="Let WARN fail.")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    for file in config.getoption("gauntlet_scenarios"):
        path = str(config.invocation_params.dir / file)
        if path not in config.args:
            config.args.append(path)
    config.stash[SESSION] = session = Session(Options.of(config))
    config.add_cleanup(session.close)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Of pytest-xdist, for each worker: they share a directory, in which one run is made for all."""
    config: pytest.Config = node.config
    if _SHARED not in config.stash:
        config.stash[_SHARED] = shared = Path(tempfile.mkdtemp(prefix="pytest-gauntlet-"))
        config.add_cleanup(lambda: shutil.rmtree(shared, ignore_errors=True))
    node.workerinput[SHARED] = str(config.stash[_SHARED])


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    config = parent.config
    named = {(config.invocation_params.dir / file).resolve() for file in config.getoption("gauntlet_scenarios")}
    if not file_path.name.endswith(SUFFIXES) and file_path.resolve() not in named:
        return None
    found: ScenarioFile = ScenarioFile.from_parent(parent, path=file_path)
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that could not prove anything is an error, on the terminal and in JUnit, as where what it stands on cannot be set up."""
    report = yield
    if report.when == "call" and report.failed and call.excinfo is not None and isinstance(call.excinfo.value, InconclusiveError):
        report.when = "setup"
    return report


@pytest.fixture(scope="session")
def gauntlet_session(pytestconfig: pytest.Config) -> Session:
    """Mocks, stack and runs of this process; for fixtures of a session's scope."""
    return pytestconfig.stash[SESSION]


@pytest.fixture
def gauntlet_run(gauntlet_session: Session) -> Callable[..., ScenarioRun]:
    """`gauntlet_run("scenarios/x.yaml").assert_passes()`; `seed`, `stack` and `baseline` as on the command line."""
    return gauntlet_session.run


@pytest.fixture
def gauntlet_stack(gauntlet_session: Session, request: pytest.FixtureRequest) -> StackProcess:
    """A stack that runs: `entry_url`, `api_key`, `urls`, `logs`."""
    return gauntlet_session.stack(_marked_stack(request))


@pytest.fixture
def mock_llm(gauntlet_session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mock]:
    """A mock LLM provider, and OPENAI_BASE_URL, ANTHROPIC_BASE_URL and keys for its clients."""
    yield from _for_one_test(gauntlet_session.mock("llm"), monkeypatch)


@pytest.fixture
def mock_qdrant(gauntlet_session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mock]:
    """A mock Qdrant, and QDRANT_URL. What a test wrote is there for the next one, as in a store that is shared."""
    yield from _for_one_test(gauntlet_session.mock("qdrant"), monkeypatch)


@pytest.fixture
def mock_chroma(gauntlet_session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mock]:
    """A mock Chroma, and CHROMA_URL; likewise."""
    yield from _for_one_test(gauntlet_session.mock("chroma"), monkeypatch)


def _for_one_test(mock: Mock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mock]:
    mock.start()
    mock.forget()
    for name, value in mock.environment.items():
        monkeypatch.setenv(name, value)
    yield mock
    mock.forget()


@pytest.fixture
def inject(request: pytest.FixtureRequest, gauntlet_session: Session) -> Callable[..., InForce]:
    """`with inject("llm.rate_limited", ratio=0.2): …`; without `target`, into the mock that the test uses."""

    def begin(
        type_: str,
        /,
        target: str | None = None,
        *,
        ratio: float | None = None,
        instances: str | int = "one",
        **parameters: Any,
    ) -> InForce:
        __tracebackhide__ = True
        given = checked(type_, ratio, parameters)
        kinds = FAULTS_OF.get(type_.partition(".")[0], ())
        if target is None and kinds:
            return InForce(MockFault(gauntlet_session.mock(_mock_of(request, type_, kinds)), type_, given))
        if target is None:
            raise InconclusiveError(f'{type_} needs a target in gauntlet_stack: inject("{type_}", "retrieval-1")')
        return InForce(StackFault(gauntlet_session.stack(_marked_stack(request)), type_, target, instances, given))

    return begin


def _mock_of(request: pytest.FixtureRequest, type_: str, kinds: tuple[str, ...]) -> str:
    """The mock that the test uses; where it names none, the provider is meant."""
    used = [kind for kind in kinds if f"mock_{kind}" in request.fixturenames]
    if len(used) == 1:
        return used[0]
    if kinds == ("llm",):
        request.getfixturevalue("mock_llm")
        return "llm"
    raise InconclusiveError(f"{type_}: which store? Let the test use one of {', '.join(f'mock_{kind}' for kind in kinds)}")


def _marked_stack(request: pytest.FixtureRequest) -> str | None:
    marker = request.node.get_closest_marker("gauntlet")
    if marker is None:
        return None
    unknown = set(marker.kwargs) - {"stack"}
    if marker.args or unknown:
        raise pytest.UsageError(f"@pytest.mark.gauntlet takes stack=FILE alone, not {marker.args or sorted(unknown)}")
    named: str | None = marker.kwargs.get("stack")
    return named
