"""Stock Locust's FastHttpUser, asking again as soon as it is answered: `locust -f` this file. Prints one JSON line at the end.

`PER_S` in the environment, where it is set, is what each user's `constant_throughput` is given.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from locust import FastHttpUser, constant, constant_throughput, events, task

START_S = 1.0  # not counted: connections, caches
_begun: dict[str, float] = {}
_counted = {"requests": 0, "failures": 0}
_environments: list[Any] = []


class Asking(FastHttpUser):
    """One user, one connection."""

    wait_time = constant_throughput(float(os.environ["PER_S"])) if "PER_S" in os.environ else constant(0)

    @task
    def ask(self) -> None:
        self.client.get("/small")


@events.request.add_listener
def count(exception: Any, **_: Any) -> None:
    if "wall_s" not in _begun:
        now_s = time.perf_counter()
        if now_s - _begun.setdefault("first_s", now_s) < START_S:
            return
        _begun.update(wall_s=now_s, cpu_s=time.process_time())
    _counted["requests"] += 1
    _counted["failures"] += exception is not None


@events.test_stop.add_listener
def stop(**_: Any) -> None:
    _begun.update(end_s=time.perf_counter(), end_cpu_s=time.process_time())


@events.init.add_listener
def remember(environment: Any, **_: Any) -> None:
    _environments.append(environment)


@events.quit.add_listener
def tell(**_: Any) -> None:
    total = _environments[0].stats.total
    said = {
        **_counted,
        "wall_s": _begun["end_s"] - _begun["wall_s"],
        "cpu_s": _begun["end_cpu_s"] - _begun["cpu_s"],
        "percentiles_ms": {f"p{q:g}": total.get_response_time_percentile(q / 100) for q in (50, 95, 99, 99.9)},
        "all_requests": total.num_requests,
    }
    print(json.dumps(said), flush=True)
