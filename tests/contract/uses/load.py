from typing import Any

USES: dict[str, dict[str, Any]] = {
    "load.spike": {"target": "gateway", "with": {"rate": "10/s"}},
    "load.hot_key": {"target": "gateway", "with": {"rate": "10/s"}},
    "load.large_prompts": {"target": "gateway", "with": {"rate": "3/s", "chars": 5000}},
    "load.retry_storm": {"target": "gateway", "with": {"rate": "5/s", "patience": "20ms", "retries": 3}},
    "load.thundering_herd": {"target": "gateway", "with": {"clients": 20, "every": "2s"}},
    "load.slow_loris": {"target": "gateway", "with": {"clients": 30}},
}
