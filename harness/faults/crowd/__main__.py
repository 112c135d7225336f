"""`python -m harness.faults.crowd --name=NAME`: reads one JSON line from stdin, misbehaves, and ends when stdin does or its time is up.

The line: `{"kind", "host", "port", "path", "asks", "headers", "seed", "ttl_s", "plan"}`. Four times a second it prints its tally as a line
of JSON. NAME is what the undo entry of the lease finds it by. Credentials come by stdin: command lines and environments can be read.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict
from random import Random

from harness.faults.beside import Ending, order, say
from harness.faults.crowd.kinds import KINDS, Crowd

TELL_EVERY_S = 0.25


async def main() -> None:
    """Until it is to end, or has nothing left to do."""
    told = order()
    crowd = Crowd(told["host"], told["port"], told["path"], told["asks"], told["headers"], told["plan"], Random(told["seed"]))
    ending = Ending(told["ttl_s"])
    work = asyncio.ensure_future(KINDS[told["kind"]](crowd))
    say(**asdict(crowd.tally))
    while not work.done() and not await asyncio.to_thread(ending.wait, TELL_EVERY_S):
        say(**asdict(crowd.tally))
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        asyncio.run(main())
