"""What a frozen server makes each arrival wait, by the schedule alone."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.load import true_latency_ms

MS = 1_000_000


def test_what_would_be_served_during_a_freeze_waits_for_its_end() -> None:
    due_ns = np.array([0, 97, 99, 100, 150, 199, 200, 250]) * MS
    found = true_latency_ms(due_ns, [100 * MS, 200 * MS], service_ms=5.0)
    # Served before it; under way when it began (97 would have been answered at 102); within it; after it (199 at 204, and later ones).
    assert found.tolist() == [5, 103, 101, 100, 50, 5, 5, 5]
