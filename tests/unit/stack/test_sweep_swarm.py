"""What a run left on a swarm: found on every engine, removed in order, and an engine that says nothing is no proof of anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import sweep_swarm
from harness.sweep_swarm import SilentError
from harness.testing import FakeClock

LABEL = "--filter=label=rag-gauntlet.run=r1"
A, B = "unix:///a", "unix:///b"


class Engines:
    """The client's command line over a world of names by (engine, kind); a network goes only after every service has."""

    def __init__(self) -> None:
        self.things: dict[tuple[str, str], list[str]] = {
            (A, "service"): ["web"],
            (A, "network"): ["net"],
            (A, "secret"): ["key"],
            (B, "container"): ["web.1"],
            (B, "volume"): ["data"],
        }
        self.silent: set[str] = set()
        self.removed: list[str] = []

    def run(self, engine: str, *arguments: str) -> str:
        if engine in self.silent:
            raise SilentError("connection refused")
        if "--quiet" in arguments:
            assert arguments[-1] == LABEL
            return "\n".join(self.things.get((engine, arguments[0]), []))
        kind = "container" if arguments[0] == "rm" else arguments[0]
        if kind == "network" and self.things.get((A, "service")):
            raise SilentError("network has active endpoints")
        self.things[engine, kind].remove(arguments[-1])
        self.removed.append(arguments[-1])
        if kind == "service":
            self.things[B, "container"] = []  # in order, as the swarm ends tasks
        return ""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Engines:
    engines = Engines()
    monkeypatch.setattr(sweep_swarm, "_docker", engines.run)
    return engines


def test_everything_is_removed_services_first(world: Engines) -> None:
    removed, left = sweep_swarm.clear([A, B], "r1", FakeClock())
    assert left == []
    assert set(removed) == {"service web", "network net", "secret key", "container web.1", "volume data"}
    assert world.removed[0] == "web"
    assert sweep_swarm.clear([A, B], "r1", FakeClock()) == ([], [])


def test_the_next_manager_is_asked_and_what_a_silent_engine_has_counts_as_left(world: Engines) -> None:
    world.silent.add(A)
    world.things = {(B, "service"): ["web"], (B, "container"): ["web.1"]}
    removed, left = sweep_swarm.clear([A, B], "r1", FakeClock())
    assert left == [f"whatever is on {A}: connection refused"]
    assert "service web" in removed
    world.silent.add(B)
    _, left = sweep_swarm.clear([A, B], "r1", FakeClock())
    assert left[0] == "whatever is in the swarm: connection refused" and len(left) == 3


def test_engines_are_noted_where_whoever_cleans_up_looks(tmp_path: Path) -> None:
    (tmp_path / "stack").mkdir()
    assert sweep_swarm.engines_of(tmp_path / "stack", tmp_path) == []
    sweep_swarm.remember(tmp_path / "stack", [A, B])
    assert sweep_swarm.engines_of(tmp_path / "stack", tmp_path) == [A, B]
    (tmp_path / "stack" / sweep_swarm.ENGINES).write_text("[torn")
    assert sweep_swarm.engines_of(tmp_path / "stack", tmp_path) == []
