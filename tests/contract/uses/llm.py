from typing import Any

USES: dict[str, dict[str, Any]] = {
    "llm.slow_first_token": {"target": "llm", "with": {"ttft": "600ms"}},
    "llm.rate_limited": {"target": "llm", "with": {"rate": "1/s", "burst": 1}},
}
