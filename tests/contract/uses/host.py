from typing import Any

USES: dict[str, dict[str, Any]] = {
    "host.killed": {"target": "b", "root": True},
    "host.partitioned": {"target": "c", "root": True},
    "host.paused": {"target": "b", "root": True},
    "host.drained": {"target": "c", "root": True},
}
