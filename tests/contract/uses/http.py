from typing import Any

EDGE = "query->retrieval"

USES: dict[str, dict[str, Any]] = {
    "http.status": {"target": EDGE, "with": {"status": 503, "ratio": "30%"}},
    "http.delay": {"target": EDGE, "with": {"delay": "100ms", "ratio": "40%"}},
    "http.truncated": {"target": EDGE, "with": {"after_bytes": 5}},
    "http.header_dropped": {"target": EDGE, "with": {"header": "content-type", "ratio": "60%"}},
    "http.wrong_content_type": {"target": EDGE, "with": {"content_type": "text/html"}},
    "http.rate_limited": {"target": EDGE, "with": {"rate": "1/s", "burst": 2, "retry_after": "2s"}},
}
