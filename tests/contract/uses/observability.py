from typing import Any

USES: dict[str, dict[str, Any]] = {
    "observability.metrics_lost": {"target": "retrieval", "with": {"mode": "hang"}},
    "observability.metrics_stale": {"target": "retrieval"},
    "observability.logs_lost": {"target": "retrieval"},
    "observability.alert_webhook_down": {"target": "alert-webhook", "with": {"mode": "hang"}, "leaves": True},
}
