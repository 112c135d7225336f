from typing import Any

USES: dict[str, dict[str, Any]] = {
    "deploy.rolling": {"target": "retrieval", "with": {"version": "1.0.7"}},
    "deploy.crashing_version": {"target": "retrieval-1"},
    "deploy.bad_configuration": {
        "target": "retrieval-1",
        "with": {"variable": "PORT", "value": "eighty"},  # refused at once; one that is never ready takes its time
    },
    "deploy.slow_version": {"target": "query", "with": {"latency": "300ms"}},
    "deploy.wrong_answers": {"target": "generation"},
    "deploy.mixed_versions": {"target": "retrieval"},
}
