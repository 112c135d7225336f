from typing import Any

SMALL = "retrieval->cache"
REAL = "query->retrieval"
PACKETS = "retrieval->postgres"

USES: dict[str, dict[str, Any]] = {
    "network.dns_failure": {"target": REAL, "real": True},
    "network.dns_wrong": {"target": REAL, "real": True},
    "network.latency": {"target": SMALL, "with": {"delay": "150ms", "jitter": "10ms"}},
    "network.loss": {"target": SMALL, "packets": PACKETS, "with": {"rate": "30%"}},
    "network.bandwidth": {"target": SMALL, "packets": PACKETS, "with": {"kbit_per_s": 200}},
    "network.slicer": {"target": SMALL, "with": {"bytes": 64, "variation": 8, "delay": "10ms"}},
    "network.slow_close": {"target": SMALL, "with": {"delay": "300ms"}},
    "network.partition": {"target": SMALL, "packets": PACKETS},
    "network.blackhole": {"target": SMALL},
    "network.reset": {"target": SMALL, "packets": PACKETS, "with": {"probability": "50%"}},
    "network.data_limit": {"target": SMALL, "with": {"after_bytes": 3}},
    "network.corruption": {"target": SMALL, "with": {"probability": "50%"}},
    "network.duplicate": {"target": SMALL, "with": {"probability": "50%"}},
}
