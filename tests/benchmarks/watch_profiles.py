"""What an hour of a watch costs by profile: rounds, looks at instances, values kept, processor time of the operator and the monitor.

`python -m tests.benchmarks.watch_profiles [--seconds 900]`: a simulated stack of twelve instances; no network, so fetching is not in it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from harness.ops.monitoring.history import History
from harness.ops.monitoring.levels import Levels
from harness.ops.stackfile.loading import StackFile, stack_of_text
from harness.ops.stackfile.profiles import PROFILES, Name
from harness.ops.watching.loop import Watch, paced_targets
from harness.ops.watching.monitor import Monitor
from tests.unit.ops.world import World, on_call

STACK = "services:\n  gateway: {url: 'http://127.0.0.1:1'}\nprometheus: {urls: ['http://127.0.0.1:1']}\nprofile: "
HOUR_S = 3600.0


def cost(profile: Name, seconds: float, directory: Path) -> tuple[float, float, float, int]:
    """Per hour: rounds, looks, seconds of a processor; and how many alerts a calm stack raised in `seconds`."""
    every_s = PROFILES[profile].every_s
    world = World(directory, step_s=every_s)
    stack = StackFile("S", stack_of_text(STACK + profile, "S", {}).document, world.targets)
    operator, ear = on_call(world, paced_targets(stack))
    watch = Watch(
        stack, Monitor(world.targets, Levels(world.targets.kinds), (), stack.profile, {}, History()), world, operator, lambda _: None
    )
    rounds, looks, spent_s = int(seconds / every_s), 0, 0.0
    for _ in range(rounds):
        round_ = world.step()
        looks += len(round_.looks)
        world.look = lambda round_=round_: round_  # type: ignore[attr-defined]  # the world's own work is not the watch's
        begun_s = time.process_time()
        watch.round()
        spent_s += time.process_time() - begun_s
    scale = HOUR_S / seconds
    return rounds * scale, looks * scale, spent_s * scale, len(ear.of("firing"))


def main() -> None:
    """One line a profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=900.0)
    seconds = parser.parse_args().seconds
    print(f"{'profile':<12} {'rounds/h':>9} {'looks/h':>9} {'cpu s/h':>9} {'false alarms':>13}")
    for profile in PROFILES:
        with tempfile.TemporaryDirectory() as directory:
            rounds, looks, spent_s, alarms = cost(profile, seconds, Path(directory))
        print(f"{profile:<12} {rounds:>9.0f} {looks:>9.0f} {spent_s:>9.1f} {alarms:>13}")


if __name__ == "__main__":
    main()
