from typing import Any

from harness.faults.vector import FAULTS

WITH: dict[str, dict[str, Any]] = {
    "vector.slow_answer": {"delay": "100ms"},
    "vector.brownout": {"per_in_flight": "80ms"},
    "vector.slow_headers": {"over": "150ms"},
    "vector.service_error": {"status": 503, "retry_after": "2s"},
    "vector.oversize_payload": {"size_bytes": 20_000},
    "vector.missing_result": {},
}
TRAFFIC: dict[str, tuple[str, ...]] = {"vector.brownout": ("store", "store")}
"""One caller alone has nobody beside it."""

USES: dict[str, dict[str, Any]] = {
    kind.spec.name: {
        "target": "vector",
        "with": WITH.get(kind.spec.name, {}),
        "mock": True,
        "traffic": TRAFFIC.get(kind.spec.name, ("store",)),
    }
    for kind in FAULTS
}
