from typing import Any

from harness.faults.llm import FAULTS

WITH: dict[str, dict[str, Any]] = {
    "llm.slow_first_token": {"ttft": "500ms"},
    "llm.jittered_tokens": {"spread": 0.9},
    "llm.slow_tokens": {"itl": "60ms"},
    "llm.brownout": {"per_in_flight": "400ms"},
    "llm.rate_limited": {"rate": "1/s", "burst": 1},
    "llm.request_too_large": {"limit": 50},
    "llm.context_length_exceeded": {"limit": 100},
    "llm.slow_headers": {"over": "150ms"},
    "llm.connection_reset": {"wait": "20ms"},
    "llm.server_error": {"retry_after": "2s", "retry_after_ms": 1500, "should_retry": False},
    "llm.stream_stall": {"lasting": "200ms"},
    "llm.stream_chunking": {"tokens": 4},
}
REAL = ("llm.jittered_tokens",)
"""It takes a provider whose tokens have a pace."""
EVERYWHERE = ("llm.slow_first_token", "llm.rate_limited")
"""The others are played by the same mock everywhere, so that the tiny stack will do."""
LEGAL = tuple(kind.spec.name for kind in FAULTS if kind.spec.benign)

USES: dict[str, dict[str, Any]] = {
    kind.spec.name: {
        "target": "llm",
        "with": WITH.get(kind.spec.name, {}),
        "mock": kind.spec.name not in (*REAL, *EVERYWHERE),
        "real": kind.spec.name in REAL,
        "leaves": kind.spec.name in LEGAL,
    }
    for kind in FAULTS
}
