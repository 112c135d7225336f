"""`python -m harness.ops TARGETS.yaml [--dry-run]`: watch until SIGTERM or SIGINT; `--dry-run` says what would be done."""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

from harness.ops.assembly import assemble, notifier_of, rules_of
from harness.ops.monitoring.scrape import NetworkLooker
from harness.ops.targets import Targets, TargetsError, load_targets
from harness.ops.voice import HttpVoice, log
from harness.record.clock import NS_PER_S, SystemClock, wall_anchor

ROUND_EVERY_S = 1.0
DRY_RUN = "--dry-run"


def watch(targets: Targets, ended: threading.Event) -> None:
    """Rounds at a fixed pace until `ended` is set; a round that overran is followed by the next at once."""
    clock = SystemClock()
    anchor = wall_anchor()
    voice = HttpVoice(targets, anchor.at(0).timestamp())
    looker = NetworkLooker(targets, clock)
    alerting = rules_of(targets, anchor.at(0).timestamp())
    notifier = notifier_of(targets, voice, anchor.at(0).timestamp(), clock)
    operator = assemble(targets, notifier or voice, alerting)
    log({"what": "watching", "services": sorted(targets.kinds)})
    period_ns = round(ROUND_EVERY_S / targets.time_scale * NS_PER_S)
    due_ns = clock.now_ns()
    while not ended.is_set():
        round_ = looker.look()
        operator.round(round_)
        if notifier is not None:
            notifier.tick(round_.t_s)
        due_ns = max(due_ns + period_ns, clock.now_ns())
        ended.wait((due_ns - clock.now_ns()) / NS_PER_S)
    looker.close()
    if notifier is not None:
        notifier.close()
    log({"what": "advice", "advice": [asdict(a) for a in operator.advice()]})
    voice.close()


def main(argv: list[str]) -> int:
    """Returns the exit code: 0 after a signal, 2 for a targets file that cannot be used."""
    dry_run, files = DRY_RUN in argv[1:], [a for a in argv[1:] if a != DRY_RUN]
    if len(files) != 1:
        sys.stderr.write(f"usage: python -m harness.ops TARGETS.yaml [{DRY_RUN}]\n")
        return 2
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        targets = load_targets(Path(files[0]))
        watch(replace(targets, recovery_mode="dry_run") if dry_run else targets, ended)
    except TargetsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
