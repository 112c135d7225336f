"""Runs beside an instance and takes from it what it needs: `python -I -S stressor.py MODE --ttl SECONDS --name WORD [--with-pid PID] …`.

Of the standard library alone: it is also given to a bare Python inside a container, as text. It ends by itself: after its time to live,
when whoever started it is gone, and when the process that it accompanies is. What it has to say is JSON, one object a line.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

KB, MB = 1 << 10, 1 << 20
PAGE = 4096
STEP_S = 0.05
_PR_SET_PDEATHSIG = 1

Goes = Callable[[], bool]
"""Whether it is to go on."""


def burn(options: argparse.Namespace, goes_on: Goes) -> None:
    """Keep `--workers` processors busy, as far as there are that many."""
    parent = os.getpid()
    for _ in range(options.workers):
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # however the parent ends
            while os.getppid() == parent:
                for _ in range(50_000):
                    pass
            return
    while goes_on():
        time.sleep(STEP_S)


def hold(options: argparse.Namespace, goes_on: Goes) -> None:
    """Take `--mb` of memory, at `--mb-per-s` if that is said, and keep it."""
    held: list[bytearray] = []
    began = time.monotonic()
    while len(held) < options.mb and goes_on():
        if options.mb_per_s and len(held) >= (time.monotonic() - began) * options.mb_per_s:
            time.sleep(STEP_S)
            continue
        piece = bytearray(MB)
        for at in range(0, MB, PAGE):
            piece[at] = 1  # or the kernel would not give it yet
        held.append(piece)
    _say(held_mb=len(held))
    while goes_on():
        time.sleep(STEP_S)


def descriptors(options: argparse.Namespace, _goes_on: Goes) -> None:
    """Limit how many files `--with-pid` may have open to `--soft` (at most `--hard`), as its own user: no other needs to be let."""
    user = Path("/proc", str(options.with_pid)).stat()
    if user.st_uid != os.geteuid():
        os.setgroups(())
        os.setresgid(user.st_gid, user.st_gid, user.st_gid)
        os.setresuid(user.st_uid, user.st_uid, user.st_uid)
    resource.prlimit(options.with_pid, resource.RLIMIT_NOFILE, (options.soft, options.hard))
    _say(soft=options.soft)


def spin(options: argparse.Namespace, _goes_on: Goes) -> None:
    """Use `--cpu-s` seconds of a processor, and say how long that took."""
    began, used = time.monotonic(), time.process_time()
    while time.process_time() - used < options.cpu_s:
        pass
    _say(wall_s=time.monotonic() - began, cpu_s=time.process_time() - used)


def write(options: argparse.Namespace, _goes_on: Goes) -> None:
    """Write `--kb` to a file in `--folder` that has no name, sync it, and say how long that took."""
    path = Path(options.folder, f"{options.name}-{os.getpid()}")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    path.unlink()
    block = os.urandom(KB)
    began = time.monotonic()
    for _ in range(options.kb):
        os.write(descriptor, block)
    os.fsync(descriptor)
    _say(took_s=time.monotonic() - began)


def interrupt(options: argparse.Namespace, goes_on: Goes) -> None:
    """Stop the process `--with-pid` and its descendants for `--busy-s`, let them run for `--free-s`, and so on; they run in the end."""
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        while goes_on() and not told:
            _to_tree(options.with_pid, signal.SIGSTOP)
            time.sleep(options.busy_s)
            _to_tree(options.with_pid, signal.SIGCONT)
            time.sleep(options.free_s)
    finally:
        _to_tree(options.with_pid, signal.SIGCONT)


def _to_tree(root: int, number: signal.Signals) -> None:
    for pid in [root, *_descendants(root)]:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _descendants(root: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text(encoding="ascii", errors="replace")
            except OSError:
                continue
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found = list(children.get(root, ()))
    for pid in found:
        found.extend(children.get(pid, ()))  # the list grows while it is walked
    yield from found


def _say(**facts: float) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stressor.py")
    parser.add_argument("mode", choices=sorted(_MODES))
    parser.add_argument("--ttl", type=float, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--with-pid", type=int, default=0)
    parser.add_argument("--oom-score", type=int, default=0, help="1000: the first that the kernel kills for memory")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", default=".")
    for number in ("kb", "mb", "mb-per-s", "soft", "hard"):
        parser.add_argument(f"--{number}", type=int, default=0)
    for seconds in ("cpu-s", "busy-s", "free-s"):
        parser.add_argument(f"--{seconds}", type=float, default=0.0)
    return parser.parse_args(argv)


_MODES = {"burn": burn, "descriptors": descriptors, "hold": hold, "interrupt": interrupt, "spin": spin, "write": write}


def main(argv: list[str]) -> int:
    """As the module says."""
    options = _parse(argv)
    starter, ends = os.getppid(), time.monotonic() + options.ttl

    def goes_on() -> bool:
        accompanies = not options.with_pid or Path("/proc", str(options.with_pid)).exists()
        return accompanies and os.getppid() == starter and time.monotonic() < ends

    if options.oom_score:
        Path("/proc/self/oom_score_adj").write_text(str(options.oom_score), encoding="ascii")
    _MODES[options.mode](options, goes_on)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
