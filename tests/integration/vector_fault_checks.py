"""For every fault of the vector services: what a client sees while it is in force. Each check is called as its type is."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mocks.vector.faults.contents import contradicted
from tests.integration.http_service import wait_until
from tests.integration.vector_rig import CLIENT_TIMEOUT_S, Ask, Doc, Found, Rig

ASKED = [1.0, 0.0, 0.0]
K = 4
SIZE = 24
OLD = "Rate limit is 10 per minute."


def document(number: int) -> Doc:
    """Farther from `ASKED` with every number; of tenant `b` where the number is odd."""
    angle = number * math.pi / 2 / SIZE
    text = f"Document {number} says that port {8000 + number} is open."
    return Doc(number, [math.cos(angle), math.sin(angle), 0.0], text, "ab"[number % 2])


def ids(found: list[Found]) -> list[int]:
    return [one.id for one in found]


def refused(rig: Rig, ask: Ask, status: int) -> httpx.Response:
    answer = ask.search_response(ASKED, K)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    return answer


def error_of(answer: httpx.Response) -> Any:
    """What an error says: Qdrant's time is nobody's business."""
    body = answer.json()
    return body["status"]["error"] if "status" in body else (body["error"], body["message"])


def service_error(rig: Rig, ask: Ask) -> None:
    words = {"qdrant": "Service internal error: task panicked while holding a segment"}
    said = error_of(refused(rig, ask, 500))
    assert said == words.get(rig.product, ("InternalError", "Error executing plan: Internal error: Error reading from the vector segment"))


def dimension_error(rig: Rig, ask: Ask) -> None:
    words = {
        "qdrant": "Wrong input: Vector dimension error: expected dim: 768, got 1024",
        "chroma": ("InvalidArgumentError", "Collection expecting embedding with dimension of 768, got 1024"),
    }
    assert error_of(refused(rig, ask, 400)) == words[rig.product]


def gateway_error(rig: Rig, ask: Ask) -> None:
    answer = ask.search_response(ASKED, K)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html")
    assert "<h1>503 Service Temporarily Unavailable</h1>" in answer.text


def connection_refused(rig: Rig, ask: Ask) -> None:
    with pytest.raises(httpx.ConnectError, match="refused"):
        httpx.get(rig.url)
    with pytest.raises(httpx.TransportError):
        ask.search(ASKED, K)


def connection_reset(rig: Rig, ask: Ask) -> None:
    with pytest.raises(httpx.ReadError):
        ask.search(ASKED, K)


def connection_closed(rig: Rig, ask: Ask) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        ask.search(ASKED, K)


def connection_hang(rig: Rig, ask: Ask) -> None:
    ask.http.timeout = httpx.Timeout(0.2)
    with pytest.raises(httpx.ReadTimeout):
        ask.search(ASKED, K)
    ask.http.timeout = httpx.Timeout(CLIENT_TIMEOUT_S)


def lost_acknowledgement(rig: Rig, ask: Ask) -> None:
    with pytest.raises(httpx.ReadError):
        ask.write([Doc(500, ASKED, "Written all the same.")])
    assert [one.text for one in ask.read([500])] == ["Written all the same."]
    assert ids(ask.search(ASKED, 3)) in ([0, 500, 1], [500, 0, 1])


def dead_keep_alive(rig: Rig, ask: Ask) -> None:
    assert ids(ask.search(ASKED, 2)) == [0, 1]
    with pytest.raises(httpx.TransportError):
        ask.search(ASKED, 2)


def empty_body(rig: Rig, ask: Ask) -> None:
    answer = ask.search_response(ASKED, K)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "application/json", b"")


def truncated_json(rig: Rig, ask: Ask) -> None:
    answer = ask.search_response(ASKED, K)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def invalid_json(rig: Rig, ask: Ask) -> None:
    answer = ask.search_response(ASKED, K)
    assert answer.content.endswith(b",}")
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def short_body(rig: Rig, ask: Ask) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        ask.search(ASKED, K)


def missing_result(rig: Rig, ask: Ask) -> None:
    body = ask.search_response(ASKED, K).json()
    keys = {
        "qdrant": {"status", "time"},
        "chroma": {"embeddings", "documents", "uris", "metadatas", "distances", "include"},
    }
    assert set(body) == keys[rig.product]


def took_s(action: Callable[[], object]) -> float:
    start_s = time.monotonic()
    action()
    return time.monotonic() - start_s


def slow_answer(rig: Rig, ask: Ask) -> None:
    assert took_s(lambda: ask.search(ASKED, K)) >= 0.2


def slow_headers(rig: Rig, ask: Ask) -> None:
    assert took_s(lambda: ask.search(ASKED, K)) >= 0.2


def brownout(rig: Rig, ask: Ask) -> None:
    """Beside a call that is never answered, another one waits."""
    path = {"qdrant": "/", "chroma": "/api/v2/heartbeat"}[rig.product]
    with rig.fault({"type": "connection_hang", "match": {"kinds": ["probe"]}}, "beside"), rig.connected() as beside:
        beside.get(path)
        wait_until(lambda: rig.ledger.metrics.in_progress == 1)
        assert took_s(lambda: ask.search(ASKED, K)) >= 0.2
    wait_until(lambda: rig.ledger.metrics.in_progress == 0)


def empty_results(rig: Rig, ask: Ask) -> None:
    assert ask.search(ASKED, K) == []
    assert ids(ask.read([3])) == [3]


def fewer_results(rig: Rig, ask: Ask) -> None:
    assert ids(ask.search(ASKED, K)) == [0]


def irrelevant_results(rig: Rig, ask: Ask) -> None:
    found = ask.search(ASKED, K)
    assert ids(found) == [SIZE - 4, SIZE - 3, SIZE - 2, SIZE - 1]
    scores = [one.score or 0.0 for one in found]
    assert scores == sorted(scores, reverse=rig.product == "qdrant")


def duplicate_results(rig: Rig, ask: Ask) -> None:
    assert ids(ask.search(ASKED, K)) == [0, 0, 1, 1]


def degraded_recall(rig: Rig, ask: Ask) -> None:
    kept = 0
    for number in range(50):
        vector = [math.cos(number / 100), math.sin(number / 100), 0.1]
        found = ids(ask.search(vector, K))
        assert len(set(found)) == K
        assert set(found) <= set(true_neighbours(vector, 2 * K))
        kept += len(set(found) & set(true_neighbours(vector, K)))
    assert 0.35 < kept / (50 * K) < 0.65  # 0.5 expected, by 200 draws: 4 standard deviations


def true_neighbours(vector: list[float], k: int) -> list[int]:
    def cosine(number: int) -> float:
        return sum(a * b for a, b in zip(vector, document(number).vector, strict=True))

    return sorted(range(SIZE), key=cosine, reverse=True)[:k]


def other_tenant(rig: Rig, ask: Ask) -> None:
    found = ask.search(ASKED, 3, tenant="b")
    assert [(one.id, one.tenant) for one in found] == [(0, "a"), (1, "b"), (3, "b")]


def nan_scores(rig: Rig, ask: Ask) -> None:
    answer = ask.search_response(ASKED, K)
    assert b"NaN" in answer.content
    assert [math.isnan(one.score or 0.0) for one in ask.search(ASKED, K)] == [True] * K


def constant_scores(rig: Rig, ask: Ask) -> None:
    found = ask.search(ASKED, K)
    assert ids(found) == [0, 1, 2, 3]
    assert len({one.score for one in found}) == 1


def stale_version(rig: Rig, ask: Ask) -> None:
    assert [one.text for one in ask.read([1])] == [OLD]
    assert [one.text for one in ask.search(document(1).vector, 1)] == [OLD]


def counterfactual(rig: Rig, ask: Ask) -> None:
    honest = [document(number).text for number in range(K)]
    told = [one.text or "" for one in ask.search(ASKED, K)]
    assert told == [contradicted(text) for text in honest]
    assert sorted(told) == sorted(one.text or "" for one in ask.read([0, 1, 2, 3]))  # the same lie everywhere
    assert not set(told) & set(honest)


def poisoned_document(rig: Rig, ask: Ask) -> None:
    texts = [one.text or "" for one in ask.search(ASKED, K)]
    assert [text.count("INJ-7F3A") for text in texts] == [1, 0, 0, 0]
    assert texts[0].startswith(document(0).text)


def missing_payload(rig: Rig, ask: Ask) -> None:
    found = ask.search(ASKED, K)
    assert [(one.id, one.text, one.tenant) for one in found] == [(number, None, None) for number in range(K)]


def oversize_payload(rig: Rig, ask: Ask) -> None:
    sizes = [len(one.text or "") for one in ask.search(ASKED, K)]
    assert sizes == [50_000] + [len(document(number).text) for number in range(1, K)]


def acknowledged_not_visible(rig: Rig, ask: Ask) -> None:
    ask.write([Doc(0, ASKED, "Written in vain.")])
    assert [one.text for one in ask.read([0])] == [document(0).text]


def collection_recreated(rig: Rig, ask: Ask) -> None:
    if rig.product == "qdrant":
        assert (ask.search(ASKED, K), ask.read([1]), ask.count()) == ([], [], 0)
        return
    assert ask.search_response(ASKED, K).status_code == 404
    assert ask.search_response(ASKED, K).json()["error"] == "NotFoundError"
    ask.create()  # asks for the collection of that name
    assert ids(ask.search(ASKED, K)) == [0, 1, 2, 3]


CHECKS: dict[str, Callable[[Rig, Ask], None]] = {
    check.__name__: check
    for check in (
        service_error, dimension_error, gateway_error, connection_refused, connection_reset, connection_closed, connection_hang,
        lost_acknowledgement, dead_keep_alive, empty_body, truncated_json, invalid_json, short_body, missing_result, slow_answer,
        slow_headers, brownout, empty_results, fewer_results, irrelevant_results, duplicate_results, degraded_recall, other_tenant,
        nan_scores, constant_scores, stale_version, counterfactual, poisoned_document, missing_payload, oversize_payload,
        acknowledged_not_visible, collection_recreated,
    )
}  # fmt: skip
