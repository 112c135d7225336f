"""Does a switch lose requests? Blue-green under load, so many times, and so many automatic rollbacks of a version that is slow.

    python -m tests.benchmarks.deploy_switches [--out DIR] [--times 10] [--rate 40] [--minutes M] [--stack processes|containers]

All on one standing site. Each deploy is a record below DIR; one that is there already is not made again, so that the script goes on where
it was broken off (the site is started anew then). At the end it prints the table, and exits with 1 where a request was lost, a switch was
not proved, or a rollback did not come.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.deploy.carry_out import Options, deploy, open_site
from harness.deploy.judging import JudgedDeploy, judge_deploy
from harness.deploy.loading import LoadedPlan, plan_of_text
from harness.deploy.site import Site

PLAN = """name: switches
stack: {{driver: {stack}}}
base: {base}
change: {{version: {version}, environment: {{{changed}}}}}
users: {{rate: {rate}/s, mix: {{ask: 6, ask_stream: 3, search: 1}}, timeout: 10s}}
objectives: {{availability: ">= 99%", latency_p95: "<= 2s"}}
bake: 15s
proof: {{answers: 100}}
"""
SLOW = "query: {BUILD_LATENCY_MS: '2500'}"


@dataclass(frozen=True)
class Wanted:
    """One deploy of the series."""

    kind: str  # switch or rollback
    number: int

    @property
    def became(self) -> str:
        return "promoted" if self.kind == "switch" else "rolled_back"

    @property
    def version(self) -> str:
        return f"1.{self.number}.0" if self.kind == "switch" else f"1.{self.number}.0-slow"


def series(times: int) -> Iterator[Wanted]:
    """In turn, so that what drifts on the machine touches both alike."""
    for number in range(1, times + 1):
        yield Wanted("switch", number)
        yield Wanted("rollback", number)


def plan(wanted: Wanted, rate: float, stack: str) -> LoadedPlan:
    changed = "" if wanted.kind == "switch" else SLOW
    text = PLAN.format(stack=stack, base="1.0.0", version=wanted.version, changed=changed, rate=f"{rate:g}")
    return plan_of_text(text, "switches.yaml", "blue_green")


def judged(directory: Path) -> JudgedDeploy | None:
    """What was made before; None where it broke off."""
    found = sorted(directory.glob("switches/*/run.json"))
    for file in found:
        one = judge_deploy(file.parent)
        if outcome(one) is not None:
            return one
    return None


def outcome(one: JudgedDeploy) -> str | None:
    result = next(r for r in one.verdict.results if r.name == "deploy.outcome")
    return str(result.value) if result.value is not None else None


def kept(wanted: Wanted, one: JudgedDeploy) -> bool:
    """Nothing lost, all proved, and what was to happen did."""
    results = {r.name: r for r in one.verdict.results}
    proof = results.get("deploy.served" if wanted.kind == "switch" else "deploy.rollback")
    return (
        outcome(one) == wanted.became
        and results["deploy.lost_requests"].status.value == "PASS"
        and proof is not None
        and proof.status.value == "PASS"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/deploy-switches"))
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--rate", type=float, default=40.0)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--stack", choices=["processes", "containers"], default="processes")
    options = parser.parse_args(argv)
    end_s = time.monotonic() + options.minutes * 60.0
    site = Site("switches")
    try:
        for wanted in series(options.times):
            directory = options.out / f"{wanted.kind}-{wanted.number}"
            if judged(directory) is not None:
                continue
            if time.monotonic() > end_s:
                print("out of time: run it again to go on")
                break
            loaded = plan(wanted, options.rate, options.stack)
            if not site.stands:
                options.out.mkdir(parents=True, exist_ok=True)
                open_site(site, loaded.plan, options.out / "logs", print)
            deploy(loaded, "blue_green", Options(out=directory, say=lambda line: print(f"    {line}", flush=True)))
    finally:
        site.close()
    return table(options.out, options.times)


def table(out: Path, times: int) -> int:
    """Print what is there; 1 where something of it is not as it should be, or missing."""
    bad = 0
    for wanted in series(times):
        one = judged(out / f"{wanted.kind}-{wanted.number}")
        if one is None:
            print(f"{wanted.kind:<9} {wanted.number:>3}  not made")
            bad += 1
            continue
        lost = next(r for r in one.verdict.results if r.name == "deploy.lost_requests")
        good = kept(wanted, one)
        bad += not good
        print(f"{wanted.kind:<9} {wanted.number:>3}  {'kept' if good else 'BROKEN':<7} lost {lost.value} of {lost.samples}  {outcome(one)}")
    print(f"{2 * times - bad} of {2 * times} kept")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
