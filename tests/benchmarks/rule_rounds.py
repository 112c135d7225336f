"""What a round of the shipped rules costs the operator: python -m tests.benchmarks.rule_rounds [series …].

For each number of series: milliseconds of processor time of one round (scraping into series, every rule once), median of 30 after a
minute, the microseconds a series, and these beside those of the smallest number: 1.0 everywhere is linear. Sizes take turns, round by
round, so that what else the machine does (its caches, above all) disturbs all of them alike. Time of the processor, not of the wall: on a
busy machine a round waits, and the longer it is, the more often. Last, how many points a series holds.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass, field

from harness.ops.alerting.rule_alerts import RuleAlerts
from harness.ops.alerting.rules.reading import read_text
from harness.ops.alerting.rules.shipped import shipped_text
from harness.ops.monitoring.rounds import Look, Round
from harness.ops.targets import Endpoint
from harness.telemetry.contract import BUCKETS_S

WARM, MEASURED = 60, 30
Template = tuple[Look, list[tuple[dict[str, str], str]]]


def looks(series: int) -> list[Template]:
    """Instances with the histograms of a service, so many that there are about that many series."""
    bounds = [*map(str, BUCKETS_S), "+Inf"]
    names = [({"route": f"/r{n}", "le": le}, "rag_request_duration_seconds_bucket") for n in range(4) for le in bounds]
    names += [({"callee": f"c{n}", "le": le}, "rag_client_request_duration_seconds_bucket") for n in range(3) for le in bounds]
    names += [({"callee": f"c{n}", "outcome": o}, "rag_client_requests_total") for n in range(3) for o in ("ok", "timeout", "http_5xx")]
    names += [({"route": f"/r{n}", "method": "POST", "status": s}, "rag_requests_total") for n in range(4) for s in ("200", "503")]
    instances = max(1, round(series / len(names)))
    return [(Look(Endpoint(f"s{n % 9}", f"s{n % 9}-{n}", "http://a"), 0.01), names) for n in range(instances)]


@dataclass
class Measured:
    """One number of series: its rules, and what their rounds took."""

    templates: list[Template]
    alerts: RuleAlerts = field(default_factory=lambda: RuleAlerts(read_text(shipped_text(), "default.yml"), 1.0, 1_700_000_000.0))
    took_ms: list[float] = field(default_factory=list)

    @property
    def series(self) -> int:
        return sum(len(names) for _, names in self.templates)

    def round(self, t: int) -> None:
        seen = tuple(Look(one.endpoint, 0.01, [(name, labels, float(t)) for labels, name in names]) for one, names in self.templates)
        begun = time.process_time()
        self.alerts.changes(Round(float(t), seen))
        self.took_ms.append((time.process_time() - begun) * 1000)

    @property
    def median_ms(self) -> float:
        return statistics.median(self.took_ms[WARM:])


def main(sizes: list[int]) -> None:
    """Prints a line for each size."""
    measured = [Measured(looks(size)) for size in sizes]
    for t in range(WARM + MEASURED):
        for one in measured:
            one.round(t)
    first_us = measured[0].median_ms * 1000 / measured[0].series
    for one in measured:
        each_us = one.median_ms * 1000 / one.series
        store = one.alerts._scraped.store
        points = sum(len(s.t_ms) for named in store._named.values() for s in named.values()) / len(store)
        print(
            f"{one.series:6d} series: {one.median_ms:7.1f} ms a round, {each_us:5.2f} us a series, "
            f"{each_us / first_us:4.2f} x the smallest; {points:.0f} points each"
        )


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [1000, 3000, 10000])
