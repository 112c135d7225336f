from typing import Any

USES: dict[str, dict[str, Any]] = {
    "cache.down": {"target": "cache"},
    "cache.flush": {"target": "cache", "real": True, "traffic": "search"},
    "cache.poisoned": {"target": "cache", "with": {"match": "retrieval:*"}, "real": True, "traffic": "search"},
    "cache.slow": {"target": "cache", "with": {"delay": "60ms"}, "real": True},
    "cache.eviction_storm": {"target": "cache", "with": {"turnover": "1s"}, "real": True},
    "cache.stampede": {"target": "cache", "with": {"every": "300ms"}, "real": True},
}
