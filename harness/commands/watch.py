"""The operator alone, against any deployment."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.console import EPILOG, CommandError, command, say
from harness.lifecycle.exit_codes import OK, USAGE

if TYPE_CHECKING:
    from harness.ops.monitoring.alerts import Alert
    from harness.ops.stackfile.loading import StackFile
    from harness.ops.watching.desk import Desk
    from harness.ops.watching.monitor import Snapshot
    from harness.record.clock import Clock

STACK = click.Path(path_type=Path)


@command(epilog=EPILOG)
@click.argument("stack", type=STACK, metavar="STACK.yaml")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line for everything that happens.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Keep events.jsonl, status.json, dashboard.json, performance.json there."
)
@click.option(
    "--listen", type=click.IntRange(0, 65535), metavar="PORT", help="Serve /metrics, /status, /dashboard and /performance on 127.0.0.1."
)
@click.option("--for", "for_", metavar="DURATION", help="End after that long (10s, 5m, 1h); default: on SIGINT or SIGTERM.")
def watch(stack: Path, as_json: bool, out: Path | None, listen: int | None, for_: str | None) -> int:
    """Let the operator watch any deployment.

    It tells alerts and diagnoses, and acts where an actions URL is given; else it is a dry run.

    Ends with 0 on SIGINT or SIGTERM, with 2 where the file or an option cannot be used.
    """
    from harness.ops.stackfile.loading import load_stack
    from harness.ops.targets import TargetsError
    from harness.ops.watching.loop import SourceError
    from harness.scenario.units import duration_s

    loaded = load_stack(stack)
    try:
        until_s = duration_s(for_) if for_ is not None else None
    except ValueError as error:
        raise CommandError(USAGE, f"--for: {error}") from error
    try:
        _watch(loaded, as_json, out, listen, until_s)
    except (SourceError, TargetsError) as error:
        raise CommandError(USAGE, f"{stack}: {error}") from error
    except OSError as error:
        raise CommandError(USAGE, f"{error.filename or '--listen'}: {error.strerror}; name another") from error
    return OK


def _watch(stack: StackFile, as_json: bool, out: Path | None, listen: int | None, until_s: float | None) -> None:
    from harness.ops.assembly import assemble, notifier_of, rules_of
    from harness.ops.monitoring.scrape import NetworkLooker
    from harness.ops.voice import HttpVoice
    from harness.ops.watching.desk import PATHS, Desk, Listener
    from harness.ops.watching.loop import Machine, Watch, metrics_of, monitor_of, paced_targets, pressure_of, third_party
    from harness.record.clock import SystemClock, wall_anchor

    clock, anchor = SystemClock(), wall_anchor()
    machine = Machine.of(stack, clock)
    monitor = monitor_of(stack, [*machine.sources(), *third_party(stack.document.sources, stack.targets)])
    desk = Desk(monitor, machine, anchor, stack.dry, out)
    ended = threading.Event()
    with ExitStack() as closing:
        _end_on_signals(ended, closing)
        closing.callback(machine.close)
        screen = _Screen(stack, desk, as_json, closing)
        if listen is not None:
            listener = Listener(desk, listen)
            closing.callback(listener.close)
            say(f"watch: {listener.url} serves {', '.join(PATHS)}")
        if until_s is not None:
            timer = threading.Timer(until_s, ended.set)
            timer.start()
            closing.callback(timer.cancel)
        rules = rules_of(stack.targets, anchor.at(0).timestamp())
        voice = HttpVoice(stack.targets, anchor.at(0).timestamp(), screen.tell)
        closing.callback(voice.close)
        looker = NetworkLooker(
            stack.targets, clock, metrics_of(stack, clock, os.environ, rules.wanted if rules is not None else frozenset())
        )
        closing.callback(looker.close)
        notifier = notifier_of(stack.targets, voice, anchor.at(0).timestamp(), clock)
        if notifier is not None:
            closing.callback(notifier.close)
        operator = assemble(paced_targets(stack), notifier or voice, rules)
        desk.attend(operator)
        pressure = pressure_of(stack, machine, screen.tell)
        Watch(stack, monitor, looker, operator, screen.tell, notifier, pressure).run(ended, clock, screen.seer(clock))
        screen.tell({"what": "ended"})
    desk.write()


def _end_on_signals(ended: threading.Event, closing: ExitStack) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        closing.callback(signal.signal, number, signal.signal(number, lambda *_: ended.set()))


class _Screen:
    """Lines on a terminal with a table that stays below them, plain lines elsewhere, or JSON lines. `tell` may be called by any thread."""

    def __init__(self, stack: StackFile, desk: Desk, as_json: bool, closing: ExitStack) -> None:
        from rich.console import Console
        from rich.live import Live

        self._stack, self._desk, self._as_json = stack, desk, as_json
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._told_s = float("-inf")
        if not as_json and sys.stdout.isatty():
            self._live = closing.enter_context(Live(console=Console(), auto_refresh=False))

    def tell(self, document: Mapping[str, Any]) -> None:
        from rich.text import Text

        from harness.ops.watching.view import lines

        dated = self._desk.event(document)
        with self._lock:
            if self._as_json:
                click.echo(json.dumps(dated, default=str))
                return
            for line in lines(dated):
                if self._live is not None:
                    self._live.console.print(Text(line))  # as a text: markup that is switched off would be off for the table, too
                else:
                    click.echo(line)

    def seer(self, clock: Clock) -> Callable[[Snapshot, tuple[Alert, ...]], None]:
        """What a watch calls after each round."""
        from harness.ops.watching.loop import STATUS_EVERY_S
        from harness.ops.watching.view import summary, table
        from harness.record.clock import NS_PER_S

        def see(snapshot: Snapshot, firing: tuple[Alert, ...]) -> None:
            self._desk.see(snapshot, firing, clock.now_ns() / NS_PER_S - snapshot.t_s)
            if self._live is not None:
                with self._lock:
                    self._live.update(table(snapshot, self._stack.targets.kinds), refresh=True)
            elif snapshot.t_s - self._told_s >= STATUS_EVERY_S:
                self._told_s = snapshot.t_s
                self.tell({"what": "status", "level": snapshot.level, "summary": summary(snapshot, len(firing))})

        return see
