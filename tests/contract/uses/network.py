from typing import Any

USES: dict[str, dict[str, Any]] = {
    "network.latency": {"target": "retrieval->cache", "with": {"delay": "150ms", "jitter": "10ms"}},
}
