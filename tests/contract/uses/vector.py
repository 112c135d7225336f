from typing import Any

from harness.faults.vector import FAULTS

WITH: dict[str, dict[str, Any]] = {
    "vector.slow_answer": {"delay": "100ms"},
    "vector.brownout": {"per_in_flight": "80ms"},
    "vector.slow_headers": {"over": "150ms"},
    "vector.service_error": {"status": 503, "retry_after": "2s"},
    "vector.oversize_payload": {"size_bytes": 20_000},
}
TRAFFIC: dict[str, tuple[str, ...]] = {"vector.brownout": ("store", "store")}
"""One caller alone has nobody beside it."""
REFERENCE: dict[str, dict[str, Any]] = {
    "vector.empty_results": {"stack": {"vector_store": "qdrant"}, "traffic": "search"},
    "vector.acknowledged_not_visible": {"stack": {"vector_store": "qdrant"}, "traffic": "ingest"},
    "vector.collection_recreated": {"stack": {"vector_store": "chroma"}, "traffic": "search"},
}
"""On the reference stack, whose own services are hit; the others are played by the same mock everywhere, so that the tiny stack will do."""

USES: dict[str, dict[str, Any]] = {
    kind.spec.name: {
        "target": "vector",
        "with": WITH.get(kind.spec.name, {}),
        **REFERENCE.get(kind.spec.name, {"mock": True, "traffic": TRAFFIC.get(kind.spec.name, ("store",))}),
    }
    for kind in FAULTS
}
