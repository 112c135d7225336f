"""The rules of dependency of docs/architecture.md, and what only some modules may touch. A new rule is one row."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(p for top in ("harness", "mocks") for p in (ROOT / top).rglob("*.py"))

# Who may import which parts of the project. A part that is missing here may import nothing of it but itself.
ALLOWED: dict[str, set[str]] = {
    "record": set(),
    "lazy": set(),
    "scenario": {"record"},
    "cgroups": {"record.clock"},
    "mounts": set(),
    "segments": set(),
    "sweep": {"record.clock", "segments"},
    "sweep_containers": set(),
    "sweep_swarm": {"record.clock", "sweep_containers"},
    "cluster": set(),
    "sweep_kubernetes": {"cluster", "record.clock", "sweep_containers"},
    "telemetry": {"record"},
    "stack": {"cgroups", "cluster", "mounts", "record", "scenario", "sweep", "sweep_containers", "sweep_kubernetes", "sweep_swarm"},
    "load": {"record", "scenario"},
    "faults": {
        "cgroups",
        "cluster",
        "lazy",
        "mounts",
        "record",
        "scenario",
        "sweep",
        "sweep_containers",
        "sweep_kubernetes",
        "sweep_swarm",
        "stack.base",
    },
    "app_thread": {"record.clock"},
    "inbox": {"app_thread", "record", "scenario", "stack.base"},
    # Of the scenario, only how YAML is read with positions, and quantities: nothing that knows a scenario.
    "ops": {
        "telemetry",
        "lazy",
        "record.clock",
        "scenario.document",
        "scenario.explain",
        "scenario.fields",
        "scenario.problem",
        "scenario.units",
    },
    "score": {"record", "scenario"},
    "gate": {"score", "record", "scenario"},
    "report": {"findings", "gate", "score", "record", "scenario"},
    "judging": {"gate", "score", "report", "record", "scenario"},
    "comparing": {"gate", "judging", "score", "report", "record", "scenario"},
    "replay": {"ops", "inbox.bodies", "judging", "gate", "score", "record", "scenario"},
    "baselines": {"score", "record"},
    "testing": {"faults", "judging", "lifecycle", "record", "report", "scenario", "score", "stack.base"},
    "gameday": {"app_thread", "faults.permission", "report", "score", "record", "scenario"},
    "findings": set(),
    "audit": {"findings", "scenario.document", "scenario.problem"},
    "security": {"audit.known", "findings", "scenario", "score.check"},
}
ANYTHING = {"run", "cli", "commands", "deploy", "environments", "lifecycle", "pipeline"}  # the top: composes everything
THIRD_PARTY: dict[str, set[str]] = {
    "record": {"numpy"},
    "scenario": {"pydantic", "pydantic_core", "yaml"},
    "score": {"numpy"},
    "gate": set(),
    "audit": {"yaml"},
    "report": {"numpy", "rich", "jinja2", "markupsafe"},
    "sweep": {"psutil"},
}
# Module-wide bans: (where, what, why).
ONE_PLACE = {
    "locust": "harness/load/users.py",
    "gevent": "harness/load/",
    "docker": "harness/stack/containers.py",
    "kubernetes": "harness/cluster.py",
}
PURE_BANS = {"time", "random", "os", "socket", "threading", "subprocess", "datetime", "asyncio"}


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """(dotted module, line, at module level) of every import, relative ones resolved."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write the whole name"
            yield node.module or "", node.lineno, id(node) in top
            if node.module in ("harness", "mocks"):
                yield from ((f"{node.module}.{alias.name}", node.lineno, id(node) in top) for alias in node.names)


def part(path: Path) -> str:
    """`score` for harness/score/sli.py, `run` for harness/run.py."""
    return path.relative_to(ROOT / "harness").parts[0].removesuffix(".py")


def where(path: Path) -> str:
    return str(path.relative_to(ROOT))


HARNESS = [p for p in SOURCES if p.is_relative_to(ROOT / "harness") and p != ROOT / "harness" / "__init__.py"]


@pytest.mark.parametrize("path", HARNESS, ids=where)
def test_parts_import_only_what_they_may(path: Path) -> None:
    own = part(path)
    if own in ANYTHING or own in ("__init__", "__main__"):
        return
    assert own in ALLOWED, f"{where(path)}: a new part; give it a row in ALLOWED"
    for module, line, _ in imports(path):
        if not module.startswith("harness."):
            continue
        target = module.removeprefix("harness.")
        allowed = target.split(".")[0] == own or any(target == a or target.startswith(a + ".") for a in ALLOWED[own])
        assert allowed or target == "__version__", f"{where(path)}:{line}: {own} must not import {module}"


@pytest.mark.parametrize("path", [p for p in HARNESS if part(p) in THIRD_PARTY], ids=where)
def test_the_judging_half_needs_few_packages(path: Path) -> None:
    for module, line, _ in imports(path):
        name = module.split(".")[0]
        if name in ("harness", "__future__") or name in sys.stdlib_module_names:
            continue
        assert name in THIRD_PARTY[part(path)], f"{where(path)}:{line}: {part(path)} must not import {module}"


@pytest.mark.parametrize("path", [p for p in HARNESS if part(p) in ("score", "gate")], ids=where)
def test_scorers_are_pure(path: Path) -> None:
    for module, line, _ in imports(path):
        assert module.split(".")[0] not in PURE_BANS, f"{where(path)}:{line}: a scorer may not import {module}: pass the value in"


@pytest.mark.parametrize("path", [p for p in SOURCES if p.is_relative_to(ROOT / "mocks")], ids=where)
def test_mocks_know_nothing_of_the_harness(path: Path) -> None:
    for module, line, _ in imports(path):
        assert not module.startswith("harness"), f"{where(path)}:{line}: mocks import nothing from harness"


MOCKS_ALLOWED: dict[str, set[str]] = {
    "http": set(),
    "common": {"http"},
    "faults": {"http", "common"},
    "llm": {"http", "common", "faults"},
    "vector": {"http", "common", "faults"},
}


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.relative_to(ROOT).parts[:2] in {("mocks", one) for one in MOCKS_ALLOWED}], ids=where
)
def test_mocks_build_on_what_they_share(path: Path) -> None:
    own = path.relative_to(ROOT).parts[1]
    for module, line, _ in imports(path):
        if module.startswith("mocks."):
            other = module.split(".")[1]
            assert other == own or other in MOCKS_ALLOWED[own], f"{where(path)}:{line}: mocks.{own} must not import {module}"


@pytest.mark.parametrize("path", HARNESS, ids=where)
def test_heavy_packages_have_one_door(path: Path) -> None:
    for module, line, _ in imports(path):
        door = ONE_PLACE.get(module.split(".")[0])
        assert door is None or where(path).startswith(door), f"{where(path)}:{line}: {module} is imported in {door} only"


TEXT_BANS = [
    (
        re.compile(r"\btime\.(time|monotonic|monotonic_ns|perf_counter|time_ns|sleep)\("),
        # the latter three run without this project beside them
        {"harness/record/clock.py", "harness/faults/inside.py", "harness/faults/stressor.py", "harness/faults/wrapper.py"},
        "use record.clock",
    ),
    (re.compile(r"\bdatetime\.(now|utcnow)\("), {"harness/record/clock.py"}, "use record.clock"),
    (re.compile(r"\bnp\.random\.(seed|rand|randn|randint|random)\("), set(), "pass a seeded generator in"),
    (re.compile(r"\brandom\.(random|randint|choice|shuffle|uniform|gauss)\("), set(), "pass a seeded random.Random in"),
    (re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"), set(), "finish it, or write an issue"),
]


@pytest.mark.parametrize("path", HARNESS, ids=where)
def test_banned_calls_have_a_replacement(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for pattern, exempt, instead in TEXT_BANS:
            if pattern.search(line.split("#")[0]) and where(path) not in exempt:
                raise AssertionError(f"{where(path)}:{number}: {pattern.search(line)[0]} … {instead}")  # type: ignore[index]


@pytest.mark.parametrize("path", [p for p in HARNESS if where(p) != "harness/cli.py"], ids=where)
def test_only_the_command_line_exits(path: Path) -> None:
    """A program of its own (the operator, the watchdog …) may, too: in the last lines of its module, with what `main` returned."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    last = tree.body[-1:]
    program = {id(n) for node in last if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for n in ast.walk(node)}
    for node in ast.walk(tree):
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else ast.unparse(node) if isinstance(node, ast.Name) else ""
        if name in ("sys.exit", "os._exit", "exit", "quit", "SystemExit") and id(node) not in program:
            raise AssertionError(f"{where(path)}:{node.lineno}: {name}: only cli.py exits; return a code or raise an error")  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", SOURCES, ids=where)
def test_files_stay_readable(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 320, f"{where(path)}: {lines} lines; split it by responsibility"
