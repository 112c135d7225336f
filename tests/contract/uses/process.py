from typing import Any

USES: dict[str, dict[str, Any]] = {
    "process.kill": {"target": "retrieval"},
    "process.pause": {"target": "retrieval-2"},
}
