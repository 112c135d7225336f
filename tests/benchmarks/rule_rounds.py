"""What a round of the shipped rules costs the operator: python -m tests.benchmarks.rule_rounds [series …].

Prints, for each number of series, the milliseconds of one round (scraping into series, every rule once): median of 30, after a minute.
"""

from __future__ import annotations

import statistics
import sys
import time

from harness.ops.alerting.rule_alerts import RuleAlerts
from harness.ops.alerting.rules.reading import read_text
from harness.ops.alerting.rules.shipped import shipped_text
from harness.ops.monitoring.rounds import Look, Round
from harness.ops.targets import Endpoint
from harness.telemetry.contract import BUCKETS_S

WARM, MEASURED = 60, 30


def looks(series: int) -> list[tuple[Look, list[tuple[dict[str, str], str]]]]:
    """Instances with the histograms of a service, so many that there are about that many series."""
    bounds = [*map(str, BUCKETS_S), "+Inf"]
    names = [({"route": f"/r{n}", "le": le}, "rag_request_duration_seconds_bucket") for n in range(4) for le in bounds]
    names += [({"callee": f"c{n}", "le": le}, "rag_client_request_duration_seconds_bucket") for n in range(3) for le in bounds]
    names += [({"callee": f"c{n}", "outcome": o}, "rag_client_requests_total") for n in range(3) for o in ("ok", "timeout", "http_5xx")]
    names += [({"route": f"/r{n}", "method": "POST", "status": s}, "rag_requests_total") for n in range(4) for s in ("200", "503")]
    instances = max(1, round(series / len(names)))
    return [(Look(Endpoint(f"s{n % 9}", f"s{n % 9}-{n}", "http://a"), 0.01), names) for n in range(instances)]


def measure(series: int) -> float:
    alerts = RuleAlerts(read_text(shipped_text(), "default.yml"), 1.0, 1_700_000_000.0)
    templates, took_ms = looks(series), []
    for t in range(WARM + MEASURED):
        seen = tuple(Look(one.endpoint, 0.01, [(name, labels, float(t)) for labels, name in names]) for one, names in templates)
        begun = time.perf_counter()
        alerts.changes(Round(float(t), seen))
        took_ms.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took_ms[WARM:])


if __name__ == "__main__":
    for wanted in map(int, sys.argv[1:] or ("1000", "3000", "10000")):
        print(f"{wanted:6d} series: {measure(wanted):7.1f} ms a round")
