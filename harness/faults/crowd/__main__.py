"""`python -m harness.faults.crowd --name=NAME`: reads one JSON line from stdin, misbehaves, and ends when stdin does or its time is up.

The line: `{"kind", "host", "port", "path", "asks", "headers", "seed", "ttl_s", "plan"}`. Four times a second it prints its tally as a line
of JSON. NAME is what the undo entry of the lease finds it by. Credentials come by stdin: command lines and environments can be read.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import asdict
from random import Random

from harness.faults.crowd.kinds import KINDS, Crowd

TELL_EVERY_S = 0.25


async def main() -> None:
    """Until somebody hangs up on stdin."""
    told = json.loads(sys.stdin.readline())
    crowd = Crowd(told["host"], told["port"], told["path"], told["asks"], told["headers"], told["plan"], Random(told["seed"]))
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)  # nothing more is ever said: readable means that it was closed
    work = asyncio.ensure_future(KINDS[told["kind"]](crowd))
    with suppress(TimeoutError):
        async with asyncio.timeout(told["ttl_s"]):
            while not ended.is_set() and not work.done():
                sys.stdout.write(json.dumps(asdict(crowd.tally)) + "\n")
                sys.stdout.flush()
                with suppress(TimeoutError):
                    async with asyncio.timeout(TELL_EVERY_S):
                        await ended.wait()
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        asyncio.run(main())
