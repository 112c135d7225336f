from typing import Any

USES: dict[str, dict[str, Any]] = {
    "clock.skew": {"target": "user", "with": {"offset": "2h"}},
    "clock.jump": {"target": "user", "with": {"offset": "-1h"}},
    "clock.drift": {"target": "user", "with": {"rate": 20}},
}
