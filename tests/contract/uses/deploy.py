from typing import Any

USES: dict[str, dict[str, Any]] = {
    "deploy.rolling": {"target": "retrieval", "with": {"version": "1.0.7"}},
}
