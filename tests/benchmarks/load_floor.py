"""How late this machine wakes a process that does nothing else: no generator is less late. `python -m tests.benchmarks.load_floor SECONDS`

Other work with the same precedence, interrupts and the machine's host show here, as they do in cyclictest. Prints one JSON line, in ms.
"""

from __future__ import annotations

import json
import select
import sys
import time

import numpy as np

from harness.load.timer import KernelTimer

EVERY_NS = 500_000


def main() -> None:
    timer, poll = KernelTimer(), select.poll()
    poll.register(timer.fd, select.POLLIN)
    due_ns = time.monotonic_ns() + EVERY_NS
    end_ns = due_ns + round(float(sys.argv[1]) * 1e9)
    late_ns, cpu_s = [], time.process_time()
    while due_ns < end_ns:
        timer.arm(due_ns)
        poll.poll()
        late_ns.append(time.monotonic_ns() - due_ns)
        timer.clear()
        due_ns += EVERY_NS
    used = (time.process_time() - cpu_s) / float(sys.argv[1])
    p50, p99 = np.percentile(np.array(late_ns) / 1e6, (50, 99))
    print(json.dumps({"lag_ms_p50": p50, "lag_ms_p99": p99, "cores": used}))


if __name__ == "__main__":
    main()
