from typing import Any

USES: dict[str, dict[str, Any]] = {
    "database.down": {"target": "postgres", "real": True},
    "database.failover": {"target": "postgres", "with": {"outage": "20s"}, "real": True},
    "database.read_only": {"target": "postgres", "real": True},
    "database.disk_full": {"target": "postgres", "real": True},
    "database.lock_contention": {"target": "postgres", "with": {"tables": ["chunks"]}, "real": True, "traffic": "search"},
    "database.slow_queries": {"target": "postgres", "with": {"delay": "200ms", "tables": ["chunks"]}, "real": True, "traffic": "search"},
    "database.stale_reads": {"target": "postgres", "with": {"lag": "20s"}, "real": True},
    "database.pool_exhausted": {"target": "postgres", "real": True, "traffic": "search"},
}
