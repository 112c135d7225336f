"""How the greenlets of a load wait. In a process of its own: gevent patches the standard library before it is used."""

from __future__ import annotations

import subprocess
import sys

NAPS = """
from gevent import monkey
monkey.patch_all()
import gevent, time
from harness.load.greenlets import Greenlets
from harness.record.clock import SystemClock
turns = []
def beside():
    while True:
        turns.append(1)
        gevent.sleep(0)
greenlets = Greenlets(SystemClock(), lambda defect: print("defect", defect))
other = gevent.spawn(beside)
early = others = 0
for duration_s in (0.0, 0.0001, 0.0013, 0.02) * 5:
    before, begun_s = len(turns), time.monotonic()
    greenlets.nap(duration_s)
    early += time.monotonic() - begun_s < duration_s
    others += len(turns) > before
other.kill()
print(early, others)
"""


def test_a_nap_is_never_too_short_and_lets_others_run() -> None:
    done = subprocess.run([sys.executable, "-c", NAPS], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["0", "20"]
