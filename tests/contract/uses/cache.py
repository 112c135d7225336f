from typing import Any

USES: dict[str, dict[str, Any]] = {
    "cache.down": {"target": "cache"},
}
