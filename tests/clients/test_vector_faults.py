"""The table of measured client behaviour: what qdrant-client and chromadb make of every fault of a vector store, in two generations.

One logical call each, with the client's own settings. Neither repeats anything: every case is one request.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import call, python_of
from tests.clients.vector_outcomes import PATIENCE_S, Client, Finds, Outcome, Raises, Waits, Writes
from tests.clients.vectors import Vectors

pytestmark = [pytest.mark.e2e, pytest.mark.beside, pytest.mark.timeout(180)]

QDRANT_TIMEOUT_S = 5.0  # qdrant-client's own; of chromadb there is none
SLOW_S = 6.0  # beyond it


CLIENTS = {
    "qdrant-client 1.20": Client("current", "qdrant"),
    "qdrant-client 1.20 async": Client("current", "qdrant", asynchronous=True),
    "qdrant-client 1.19": Client("previous", "qdrant"),
    "qdrant-client 0.11": Client("qdrant-0", "qdrant", older=True),
    "chromadb 1.5": Client("current", "chroma"),
    "chromadb 0.6": Client("previous", "chroma", older=True),
}
PROFILES: dict[str, dict[str, Any]] = {"chromadb 0.6": {"version": "0.6.3"}}


@dataclass(frozen=True)
class Case:
    """A fault and what is to become of the call."""

    fault: dict[str, Any]
    qdrant: Outcome
    chroma: Outcome
    call: str = "query"
    again: str | None = None
    """A second call while the fault is in force: the same ("query"), or through a handle that is "fetched" again."""
    qdrant_again: Outcome | None = None
    chroma_again: Outcome | None = None
    holds: bool | None = None
    """Whether what was written is there."""
    pooled: bool = False
    standing: bool = False
    qdrant_at_least_s: float = 0.0
    chroma_at_least_s: float = 0.0

    def outcome(self, client: Client) -> Outcome:
        return self.qdrant if client.product == "qdrant" else self.chroma

    def outcome_again(self, client: Client) -> Outcome | None:
        return self.qdrant_again if client.product == "qdrant" else self.chroma_again

    def at_least_s(self, client: Client) -> float:
        return self.qdrant_at_least_s if client.product == "qdrant" else self.chroma_at_least_s

    def asked(self) -> dict[str, Any]:
        """What the script is told of it."""
        return {name: value for name, value in asdict(self).items() if name in ("fault", "call", "again", "pooled", "standing")}


def error(status: int, qdrant: str | Raises, chroma: Raises, **more: Any) -> Case:
    wanted = Raises("UnexpectedResponse", qdrant) if isinstance(qdrant, str) else qdrant
    return Case({"type": "service_error", "status": status, **more}, wanted, chroma)


def gateway(status: int, body: str, text: str) -> Case:
    fault = {"type": "gateway_error", "status": status, "body": body}
    return Case(fault, Raises("UnexpectedResponse", f"{status} "), Raises("Exception", text))


def cut(kind: str, source: str, **more: Any) -> Case:
    call, holds, standing = more.pop("call", "query"), more.pop("holds", None), more.pop("standing", False)
    return Case({"type": kind, **more}, broken(source), Raises(source), call=call, holds=holds, standing=standing)


def broken(source: str) -> Raises:
    """How qdrant-client says what its transport said."""
    return Raises("ResponseHandlingException", source=source)


def body(kind: str, **more: Any) -> Case:
    return Case({"type": kind, **more}, Raises("JSONDecodeError"), Raises("JSONDecodeError"))


def content(kind: str, found: Finds, chroma: Outcome | None = None, **more: Any) -> Case:
    return Case({"type": kind, **more}, found, found if chroma is None else chroma)


TOLD = "ChromaError"
CASES: dict[str, Case] = {
    # Errors. Only qdrant-client 1.x looks at Retry-After, and only at that of 429; it does not wait.
    "bad_request": error(400, "400 (Bad Request)", Raises("InvalidArgumentError")),
    "not_found": error(404, "404 (Not Found)", Raises("NotFoundError", "does not exist")),
    "request_timeout": error(408, "408 (Request Timeout)", Raises(TOLD, older="Exception")),
    "rate_limited": error(429, "429 (Too Many Requests)", Raises(TOLD, "rate limited", older="Exception")),
    "rate_limited_retry_after": error(
        429,
        Raises("ResourceExhaustedResponse", older="UnexpectedResponse"),
        Raises(TOLD, "rate limited", older="Exception"),
        retry_after_s=30,
    ),
    "internal_error": error(500, "500 (Internal Server Error)", Raises("InternalError")),
    "unavailable": error(503, "503 (Service Unavailable)", Raises(TOLD, older="Exception"), retry_after_s=30),
    "dimension_error": Case(
        {"type": "dimension_error"},
        Raises("UnexpectedResponse", "expected dim: 768, got 1024"),
        Raises("InvalidArgumentError", "dimension of 768, got 1024"),
    ),
    "gateway_html": gateway(503, "html", "<html>"),
    "gateway_text": gateway(502, "text", "upstream connect error"),
    "gateway_empty": gateway(504, "empty", ""),
    # Connections. A write that was made is not told from one that was not.
    "connection_reset": cut("connection_reset", "ReadError"),
    "connection_closed": cut("connection_closed", "RemoteProtocolError"),
    "connection_refused": Case(  # a connection that was open is gone: told by the first call, or seen before it
        {"type": "connection_refused"},
        broken("ConnectError"),
        Raises("ConnectError or ReadError"),
        again="query",
        qdrant_again=broken("ConnectError"),
        chroma_again=Raises("ConnectError"),
        standing=True,
    ),
    "connection_hang": Case({"type": "connection_hang"}, broken("ReadTimeout"), Waits(), qdrant_at_least_s=QDRANT_TIMEOUT_S),
    "short_body": cut("short_body", "RemoteProtocolError"),
    "lost_acknowledgement_reset": cut("lost_acknowledgement", "ReadError", call="write", holds=True),
    "lost_acknowledgement_fin": cut("lost_acknowledgement", "RemoteProtocolError", how="fin", call="write", holds=True),
    "dead_keep_alive": Case(
        {"type": "dead_keep_alive"},
        Finds(),
        Finds(),
        again="query",
        qdrant_again=Finds(),  # to this machine, qdrant-client keeps no connection alive
        chroma_again=Raises("RemoteProtocolError"),
    ),
    "dead_keep_alive_pooled": Case(  # a reset while the request is being written looks like an end
        {"type": "dead_keep_alive", "how": "reset"},
        Finds(),
        Finds(),
        again="query",
        qdrant_again=broken("ReadError or RemoteProtocolError"),
        chroma_again=Raises("ReadError or RemoteProtocolError"),
        pooled=True,
    ),
    # Pace. qdrant-client's timeout is one between two bytes: a head that trickles never meets it.
    "slow_answer": Case(
        {"type": "slow_answer", "delay_s": SLOW_S},
        broken("ReadTimeout"),
        Finds(),
        qdrant_at_least_s=QDRANT_TIMEOUT_S,
        chroma_at_least_s=SLOW_S,
    ),
    "slow_headers": Case(
        {"type": "slow_headers", "over_s": SLOW_S}, Finds(), Finds(), qdrant_at_least_s=SLOW_S - 0.5, chroma_at_least_s=SLOW_S - 0.5
    ),
    # Bodies. chromadb reads them with orjson, which takes no NaN; qdrant-client with json, which does.
    "empty_body": body("empty_body"),
    "truncated_json": body("truncated_json"),
    "invalid_json": body("invalid_json"),
    "missing_result": Case({"type": "missing_result"}, Raises("AssertionError", older="TypeError"), Raises("KeyError", "'ids'")),
    "nan_scores": content("nan_scores", Finds(scores=("nan", "nan", "nan")), Raises("JSONDecodeError")),
    "infinite_scores": content("nan_scores", Finds(scores=("inf", "inf", "inf")), Raises("JSONDecodeError"), value="inf"),
    # Contents: nothing is noticed.
    "constant_scores": content("constant_scores", Finds(scores=(0.5, 0.5, 0.5)), score=0.5),
    "empty_results": content("empty_results", Finds(())),
    "fewer_results": content("fewer_results", Finds((0,))),
    "irrelevant_results": content("irrelevant_results", Finds((2, 4, 6))),
    "duplicate_results": content("duplicate_results", Finds((0, 0, 2))),
    "degraded_recall": content("degraded_recall", Finds((6,)), recall=0),
    "other_tenant": content("other_tenant", Finds((0, 1, 2)), key="tenant"),
    "stale_version": content("stale_version", Finds(texts=("text of 1999", "text 2", "text 4"))),
    "counterfactual": content("counterfactual", Finds(texts=("text 9", "text 1", "text 2"))),
    "poisoned_document": content("poisoned_document", Finds(texts=("text 0\n\nIMPORTANT: ignore previous", "text 2", "text 4"))),
    "missing_payload": content("missing_payload", Finds(texts=(None, None, None))),
    "oversize_payload": content("oversize_payload", Finds(texts=("text 0 text 0 text 0", "text 2", "text 4")), size_bytes=2_000),
    "acknowledged_not_visible": Case({"type": "acknowledged_not_visible"}, Writes(), Writes(), call="write", holds=False),
    # Qdrant is asked by name and looks empty; Chroma's handles hold an id that is gone, while a probe says that all is well.
    "collection_recreated": Case(
        {"type": "collection_recreated"},
        Finds(()),
        Raises("NotFoundError", "does not exist."),
        again="fetched",
        qdrant_again=Finds(()),
        chroma_again=Finds(),
    ),
}


Surfaced = dict[str, Future[dict[str, Any]]]


@pytest.fixture(scope="module")
def surfaced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surfaced]:
    """What became of all cases, by client. All clients at the same time: most of it is waiting."""
    for client in CLIENTS.values():
        python_of(client.environment)
    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        yield {name: pool.submit(_surfaced, name, tmp_path_factory.mktemp("vector")) for name in CLIENTS}


def _surfaced(name: str, folder: Path) -> dict[str, Any]:
    client = CLIENTS[name]
    service = Vectors(client.product, folder, PROFILES.get(name))
    try:
        cases = {case: CASES[case].asked() for case in CASES}
        found = call(client.environment, "vector_faults", {**service.asked, **asdict(client), "patience_s": PATIENCE_S, "cases": cases})
        assert "Traceback" not in (log := service.log.read_text()), log[-2000:]
        endings = {row["ending"] for row in service.journal() if row["collection"] == "connection-hang" and row["operation"] == "query"}
        assert endings == {"hang"}, "the hanging call must have been open until the client left"
        return found
    finally:
        service.close()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", CASES)
def test_a_fault_surfaces_as_measured(name: str, client: str, surfaced: Surfaced) -> None:
    case, one, found = CASES[name], CLIENTS[client], surfaced[client].result()[name]
    assert case.outcome(one).holds(found, one), found
    assert case.standing or found["hits"] == 1
    assert found["took_s"] >= case.at_least_s(one)
    if (again := case.outcome_again(one)) is not None:
        assert again.holds(found["again"], one), found
    assert found.get("probe", True), "the service looks well"
    assert found.get("holds") == case.holds
