"""Profiles of a watch: what each costs and gives, over the same simulated stack."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.ops.monitoring.history import History
from harness.ops.monitoring.levels import Levels
from harness.ops.monitoring.readings import Reading
from harness.ops.monitoring.rounds import BlindError, Round
from harness.ops.monitoring.windows import Windows
from harness.ops.recovery.strategies import Step
from harness.ops.stackfile.loading import StackFile, StackFileError, stack_of_text
from harness.ops.stackfile.profiles import PROFILES, Name
from harness.ops.watching.loop import Watch, paced_targets
from harness.ops.watching.monitor import Monitor
from tests.unit.ops.world import Ear, World, on_call

SERVICES = "services:\n  gateway: {url: 'http://127.0.0.1:1'}\n"
PROMETHEUS = "prometheus: {urls: ['http://127.0.0.1:9090']}\n"


@dataclass
class Watched:
    """A watch of a world at the pace of its profile."""

    directory: Path
    profile: Name
    looks: int = 0
    told: list[Any] = field(default_factory=list)
    blind: str = ""

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        document = stack_of_text(f"{SERVICES}{PROMETHEUS}profile: {self.profile}\n", "S", {}).document
        self.every_s = PROFILES[self.profile].every_s
        self.world = World(self.directory, step_s=self.every_s)
        stack = StackFile("S", document, self.world.targets)
        operator, self.ear = on_call(self.world, paced_targets(stack))
        self.monitor = Monitor(self.world.targets, Levels(self.world.targets.kinds), [("told", self)], stack.profile, {}, History())
        self.watch = Watch(stack, self.monitor, self, operator, self.told.append)

    def read(self) -> list[Reading]:
        return [Reading("host", "cpu", 0.3)]

    def look(self) -> Round:
        round_ = self.world.step()
        if self.blind:
            raise BlindError(round_.t_s, self.blind)
        self.looks += len(round_.looks)
        return round_

    def go(self, seconds: float) -> Ear:
        for _ in range(int(seconds / self.every_s)):
            self.watch.round()
        return self.ear


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_silent_where_nothing_is_wrong_and_names_who_dies(tmp_path: Path, profile: Name) -> None:
    watched = Watched(tmp_path / profile, profile)
    watched.go(40 * watched.every_s)
    assert watched.ear.said == [], profile
    watched.world.down = {"retrieval-2": "refused"}
    watched.go(3 * watched.every_s)
    assert watched.ear.of("firing") == ["InstanceDown retrieval"]
    assert watched.ear.of("diagnosis") == [(("retrieval", "crash"),)]
    assert watched.monitor.before.level in ("healthy", "warning", "critical"), "its windows hold enough rounds to tell"


def test_low_cost_asks_and_keeps_less(tmp_path: Path) -> None:
    close, cheap = Watched(tmp_path / "a", "real-time"), Watched(tmp_path / "b", "low-cost")
    close.go(90)
    cheap.go(90)
    assert cheap.looks * 15 == close.looks
    points = [len(w.monitor.history["gateway/throughput"].points(90.0, 90.0)) for w in (close, cheap)]
    assert points[1] * 14 < points[0]
    rates = [w.monitor.before.readings["gateway/throughput"].value for w in (close, cheap)]
    assert rates[1] == pytest.approx(rates[0], rel=0.1), "and says the same of what lasts"


def test_what_looks_seldom_takes_its_time_with_actions_too(tmp_path: Path) -> None:
    """A restart gets as many rounds to show its effect as in a watch that looks every second."""
    watched = Watched(tmp_path, "low-cost")
    watched.go(20 * watched.every_s)
    watched.world.down = {"retrieval-2": "refused"}
    watched.go(10 * watched.every_s)
    assert watched.ear.of("action") == [Step("restart", "retrieval", "retrieval-2")]
    watched.go(10 * watched.every_s)
    assert watched.ear.of("action")[:2] == [Step(verb, "retrieval", "retrieval-2") for verb in ("restart", "failover")]


class Rising:
    """A response time that grows by 5 ms a second, and a disk."""

    t_s = 0.0

    def read(self) -> list[Reading]:
        return [Reading("gateway", "response_time", 0.1 + self.t_s * 5e-3), Reading("host", "disk:/", 0.5)]


@pytest.mark.parametrize(("profile", "told"), [("predictive", {"LimitNear gateway"}), ("real-time", set[str]())])
def test_predictive_tells_what_moves_towards_its_limit(tmp_path: Path, profile: Name, told: set[str]) -> None:
    source, found = Rising(), set[str]()
    monitor = Monitor(World(tmp_path).targets, Levels(["gateway"]), [("rising", source)], PROFILES[profile])
    for n in range(200):
        source.t_s = float(n)
        snapshot = monitor.observe(Round(source.t_s, ()), Windows(60.0))
        found |= {f"{f.name} {f.service}" for f in snapshot.findings}
    assert found == told
    assert monitor.levels.bound("response_time") == 2.0
    assert snapshot.readings["gateway/response_time"].value < 1.2, "the limit is two minutes away"


def test_a_watch_that_is_blind_concludes_nothing_and_says_so(tmp_path: Path) -> None:
    watched = Watched(tmp_path, "distributed")
    watched.world.down = {"retrieval-2": "refused"}
    watched.go(150)
    firing = {a.labels["alertname"] for a in watched.watch.firing}
    assert "InstanceDown" in firing
    watched.blind = "http://127.0.0.1:9090: ConnectError"
    watched.go(60)
    assert {a.labels["alertname"] for a in watched.watch.firing} == {*firing, "WatchBlind"}, "nothing is resolved for want of sight"
    assert watched.told[-1] == {"what": "lost", "reason": watched.blind}
    watched.blind = ""
    watched.go(60)
    assert "WatchBlind" not in {a.labels["alertname"] for a in watched.watch.firing}


def test_what_a_file_says_goes_before_its_profile() -> None:
    text = (
        f"{SERVICES}profile: predictive\nevery: 2s\nkeep: 1h\ndetect_every: 1m\nforecasts: {{limits: false}}\n"
        "detectors: {'*/cpu': null, 'gateway/cpu': ewma}\n"
    )
    profile = stack_of_text(text, "S", {}).profile
    assert (profile.every_s, profile.keep_s, profile.detect_every_s) == (2.0, 3600.0, 60.0)
    assert (profile.forecast_limits, profile.forecast_every_s) == (False, PROFILES["predictive"].forecast_every_s)
    assert "*/cpu" not in profile.detectors and profile.detectors["gateway/cpu"] == "ewma"
    assert profile.detectors["*/response_time"] == "ensemble"
    assert stack_of_text(SERVICES, "S", {}).profile == PROFILES["real-time"]


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ("profile: realtime", r"^S:3:10: 'realtime' is not known here; did you mean 'real-time'\?$"),
        ("profile: eager", r"^S:3:10: 'eager' is not known here; write one of distributed, low-cost, predictive, real-time$"),
        (
            "profile: distributed",
            r"^S:3:10: distributed gathers what Prometheus servers have scraped, and none is named; write `prometheus:",
        ),
        ("prometheus: {urls: []}", r"^S:3:20: "),
        ("prometheus: {urls: ['http://a'], token_env: T}", r"^S:3:45: the variable T is not set; set it"),
    ],
)
def test_a_profile_that_cannot_be_is_one_clear_error(rest: str, told: str) -> None:
    with pytest.raises(StackFileError, match=told):
        stack_of_text(SERVICES + rest, "S", {})
