"""The journal's rows of the vector services: what they tell, and that none takes more memory than is counted for it."""

from __future__ import annotations

import orjson
import pytest

from mocks.common.journal import Journal
from mocks.http.message import Request
from mocks.vector.ledger import Entry, Ledger
from mocks.vector.metrics import VectorMetrics
from mocks.vector.store import Limits, Store

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


def entry(headers: dict[bytes, bytes], path: str = "/collections") -> Entry:
    return Entry(Request("GET", path, "", headers, b"", 1, 1, 0.0, path), "qdrant", "req-1")


@pytest.mark.parametrize(
    ("sent", "trace", "parent"),
    [(TRACE, "a" * 32, "b" * 16), (TRACE + "-more", None, None), (TRACE.replace("a", "g"), None, None), ("", None, None)],
)
def test_a_trace_is_told_where_the_header_is_one(sent: str, trace: str | None, parent: str | None) -> None:
    row = entry({b"traceparent": sent.encode()}).row()
    assert (row["trace_id"], row["parent_id"]) == (trace, parent)


def test_what_a_client_can_make_long_is_cut_or_counted() -> None:
    ledger = Ledger(VectorMetrics(Store(Limits()), "vector", "1"), Journal(most_bytes=100_000), "vector", "vector-1", log_requests=False)
    long = b"x" * 20_000
    for _ in range(20):
        one = entry({b"traceparent": long, b"user-agent": long, b"x-request-id": long}, "/" + long.decode())
        ledger.arrived(one)
        one.failed("value " + "y" * 10**6)
        ledger.finish(one, "complete")
    rows = [orjson.loads(row) for row in ledger.journal.latest(100).rows]
    assert len(rows) == 2
    assert [(row["error"], row["request_id"]) for row in rows] == [("value " + "y" * 494 + "…", "req-1")] * 2
    assert sum(map(len, ledger.journal.latest(100).rows)) < 100_000
