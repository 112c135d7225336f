"""`python -m harness.ops TARGETS.yaml [--dry-run]`: watch until SIGTERM or SIGINT; `--dry-run` says what would be done."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from harness.ops.assembly import assemble, notifier_of, rules_of
from harness.ops.monitoring.scrape import NetworkLooker
from harness.ops.operator import Alerting, Operator, Voice
from harness.ops.pacing import paced
from harness.ops.targets import Targets, TargetsError, load_targets
from harness.ops.voice import HttpVoice, log
from harness.record.clock import SystemClock, wall_anchor

ROUND_EVERY_S = 1.0
DRY_RUN = "--dry-run"

Assemble = Callable[[Targets, Voice, Alerting | None], Operator]


def watch(targets: Targets, ended: threading.Event, assembled: Assemble = assemble) -> None:
    """Rounds at a fixed pace until `ended` is set; a round that overran is followed by the next at once."""
    clock = SystemClock()
    anchor = wall_anchor()
    voice = HttpVoice(targets, anchor.at(0).timestamp())
    looker = NetworkLooker(targets, clock)
    alerting = rules_of(targets, anchor.at(0).timestamp())
    notifier = notifier_of(targets, voice, anchor.at(0).timestamp(), clock)
    operator = assembled(targets, notifier or voice, alerting)
    log({"what": "watching", "services": sorted(targets.kinds)})
    for _ in paced(ROUND_EVERY_S / targets.time_scale, ended, clock):
        round_ = looker.look()
        operator.round(round_)
        if notifier is not None:
            notifier.tick(round_.t_s)
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
